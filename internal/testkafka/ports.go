package testkafka

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// freePorts are n ports nobody listens on, below the range that the kernel gives to outgoing
// connections, so that they stay free while a broker is down.
func freePorts(n int) ([]int, error) {
	var ports []int
	seen := map[int]bool{}
	for range 10_000 {
		if len(ports) == n {
			return ports, nil
		}
		p := 10_000 + rand.IntN(22_000)
		if !seen[p] && free(p) {
			ports = append(ports, p)
		}
		seen[p] = true
	}
	return nil, fmt.Errorf("no free ports")
}

func free(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}
