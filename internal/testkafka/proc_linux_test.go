package testkafka

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const childEnv = "TESTKAFKA_CHILD"

// TestProcessDiesWithUs kills a test binary that started a process: the process must go as well.
func TestProcessDiesWithUs(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		p, err := startProc(exec.Command("sleep", "600"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("pid", p.cmd.Process.Pid)
		<-p.done
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestProcessDiesWithUs$")
	child.Env = append(os.Environ(), childEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscanf(strings.TrimSpace(line), "pid %d", &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the process isn't there: %v", err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	Eventually(t, 10*time.Second, func(context.Context) error {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(state), ") Z ") {
			return nil
		}
		return errors.New("the process lives on")
	})
}
