//go:build unix

package testkafka

import (
	"errors"
	"os"
	"syscall"
)

// makeFIFO makes a file whose readers wait.
func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }

// hangUp ends the wait of those who read, with the end of the file.
func hangUp(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) { // nobody waits
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}
