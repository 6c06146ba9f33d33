package clock

import (
	"syscall"
	"time"
	"unsafe"
)

const clockBoottime = 7

// sinceBoot reads CLOCK_BOOTTIME, as clock_gettime(2). 0 where the kernel refuses.
func sinceBoot() time.Duration {
	var ts syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		return 0
	}
	return time.Duration(ts.Nano())
}
