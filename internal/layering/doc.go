// Package layering holds the test that holds the arrows between the project's packages. It has no
// code of its own.
package layering
