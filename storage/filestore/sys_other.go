//go:build !unix

package filestore

import "os"

// lock: files that are open can't be removed here.
func lock(*os.File) error { return nil }

func isFull(error) bool { return false }

func notDirectory(err error) error { return err }
