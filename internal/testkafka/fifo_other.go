//go:build !unix

package testkafka

import "errors"

var errNoFIFO = errors.New("no FIFOs here")

func makeFIFO(string) error { return errNoFIFO }
func hangUp(string) error   { return errNoFIFO }
