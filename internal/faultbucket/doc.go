// Package faultbucket puts faults in front of a *blob.Bucket, for crash loops and tests of bad
// stores.
//
// Every operation of the store is counted: a get, a put (when it is closed), a list page, a stat, a
// delete. A [Rule] looks at each and says what goes wrong with it. The inner bucket stays as it is,
// so a test looks at what really was stored.
package faultbucket
