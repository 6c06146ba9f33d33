// Package mm2 reads what MirrorMaker 2 keeps on its target.
package mm2
