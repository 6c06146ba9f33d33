// Package filestore keeps a *blob.Bucket in a directory, durably.
//
// # Guarantee
//
// When Close of a writer returns nil, the object survives a power failure: its bytes, its name and
// the directories above it were fsynced. An object appears whole or not at all. With
// WriterOptions.IfNotExist it is linked (link(2)) to its name, which fails if the name is taken, in
// any process on any machine that shares the file system: the error's code is
// gcerrors.FailedPrecondition, and the object that has it was fsynced again. A writer whose context
// ends before Close leaves no object. Where the last fsync fails, Close returns an error and the
// object may be there: a read through the same bucket fsyncs again, or fails. Files are for their
// owner alone (0600), as are directories (0700).
//
// # Limits
//
// The file system must have hard links. Keys match [a-z0-9][a-z0-9./-]*, every part between slashes
// begins with a letter or digit and doesn't end in a dot; others are gcerrors.InvalidArgument. A
// key can't be below another one's (a and a/b). Listings know the delimiter "/" and none.
// Attributes hold size and modification time; metadata, content types and signed URLs aren't kept.
//
// What is being written lies in the directory .kafkadr-tmp of the bucket. Files that a killed
// process left there are removed at OpenBucket, once they are [Options.StaleAfter] old and no
// process holds them.
package filestore
