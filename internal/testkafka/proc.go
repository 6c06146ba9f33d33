package testkafka

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// proc is a process that dies with the test binary.
type proc struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and been waited for
	err  error         // of Wait; read after done
}

// startProc starts cmd. The goroutine that starts it keeps its thread until the process ends, since
// the kernel's parent-death signal is bound to that thread.
func startProc(cmd *exec.Cmd) (*proc, error) {
	p := &proc{cmd: cmd, done: make(chan struct{})}
	dieWithParent(cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// kill ends the process at once and waits.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end, and kills it when it hasn't within d.
func (p *proc) stop(d time.Duration) error {
	if err := terminate(p.cmd.Process); err != nil {
		p.kill()
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		p.kill()
		return fmt.Errorf("didn't end within %v of SIGTERM; killed", d)
	}
}

func (p *proc) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail is the end of an output.
func tail(b []byte) []byte {
	const most = 6000
	if len(b) > most {
		b = b[len(b)-most:]
	}
	return b
}

// tailFile is the end of a file, without reading the rest.
func tailFile(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return []byte(err.Error())
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err == nil && st.Size() > 64<<10 {
		_, _ = f.Seek(-64<<10, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return tail(b)
}
