// Package register says which cluster is active, by epoch.
package register
