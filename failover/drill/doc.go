// Package drill makes a disaster on purpose and measures what it costs.
package drill
