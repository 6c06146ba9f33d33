// Package drilltest runs drills inside anybody's unit tests: two in-process clusters with a mirror between.
package drilltest
