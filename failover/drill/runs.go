package drill

import "slices"

// runs is a set of sequence numbers as runs of adjacent ones, sorted, none of which touch: what is
// complete takes no more room for being long.
type runs []run

// run are the numbers from base on, below end.
type run struct{ base, end int64 }

// add puts a number in, and says whether it is new.
func (r *runs) add(n int64) bool {
	s := *r
	if len(s) > 0 && s[len(s)-1].end == n { // the usual case
		s[len(s)-1].end++
		return true
	}
	i := s.search(n)
	if i < len(s) && s[i].base <= n {
		return false
	}
	joinsLeft, joinsRight := i > 0 && s[i-1].end == n, i < len(s) && s[i].base == n+1
	switch {
	case joinsLeft && joinsRight:
		s[i-1].end = s[i].end
		s = slices.Delete(s, i, i+1)
	case joinsLeft:
		s[i-1].end++
	case joinsRight:
		s[i].base--
	default:
		s = slices.Insert(s, i, run{n, n + 1})
	}
	*r = s
	return true
}

// search is the index of the first run that ends behind n.
func (r runs) search(n int64) int {
	i, _ := slices.BinarySearchFunc(r, n, func(x run, n int64) int {
		if x.end <= n {
			return -1
		}
		return 1
	})
	return i
}

func (r runs) has(n int64) bool {
	i := r.search(n)
	return i < len(r) && r[i].base <= n
}

func (r runs) len() (n int64) {
	for _, x := range r {
		n += x.end - x.base
	}
	return n
}

// without is what is in r but not in o.
func (r runs) without(o runs) (left runs) {
	for _, x := range r {
		for i := o.search(x.base); i < len(o) && o[i].base < x.end; i++ {
			if o[i].base > x.base {
				left = append(left, run{x.base, o[i].base})
			}
			x.base = o[i].end
		}
		if x.base < x.end {
			left = append(left, x)
		}
	}
	return left
}
