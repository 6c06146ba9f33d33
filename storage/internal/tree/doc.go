// Package tree is a sorted map of byte keys to byte values that is kept in write-once storage.
//
// It is a copy-on-write B-tree. Write hands out the nodes that changed, children first, and returns
// a reference to the new root; a reference holds place and SHA-256 of a node, so that the root's
// vouches for every byte of the map, and everything that didn't change is shared with the maps
// before it.
//
// # Limits
//
// A node has about [NodeBytes]; one entry that is larger has a node of its own, up to
// [MaxNodeBytes]. Nodes from outside are checked: order of keys, levels that fall strictly,
// references that point backwards alone. So a hostile map can't make a loop, and costs no more
// memory than its nodes have bytes.
package tree
