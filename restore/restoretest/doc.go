// Package restoretest brings archives into the tests of those who have a consumer to test: real
// records of a real cluster, at their real offsets, or some that the test makes up.
//
// [Write] makes a small archive in a directory, from records given in Go: at most three files, the
// same bytes each time, so that it can live under testdata or in an [embed.FS]. [Load] restores an
// archive into an in-process cluster, which needs no services and is gone when the test ends;
// [LoadInto] restores it into any.
//
// # Limits
//
// The in-process cluster is kfake: no Kafka, but a fake of one. Policies that restore holds
// (retention, compaction: see package restore) are not released, so that the test sees what the
// archive holds.
package restoretest
