// Package register holds examples of registers on other stores: etcd, and Leases of Kubernetes.
// Both pass package registertest.
package register
