package config

import (
	"github.com/goccy/go-yaml/token"
)

// What a file may cost, with all that it includes. The parser is recursive, takes time by the square of the
// entries of a block map, moves all that follows for a value that is left out,
// and keeps the path of every node. So a file of some megabytes could take
// hours; these limits bound it to about two seconds and a gigabyte, at a size
// that has room for tens of thousands of sites.
const (
	maxFile   = 16 << 20      // bytes of the files together
	maxTokens = 1_000_000     // tokens
	maxDepth  = 32            // maps and lists in each other
	maxKey    = 4 << 10       // bytes of a key
	maxMoves  = 1_000_000_000 // pointers that are moved
	maxPaths  = 256 << 20     // bytes of the paths of all nodes
)

// cost is what has been spent on the files so far.
type cost struct {
	files, bytes        int
	marks, moves, paths int
}

// subject begins a sentence about what was spent: one file has it, or several
// have.
func (c *cost) subject(has, have string) string {
	if c.files > 1 {
		return "this file and those before it " + have
	}
	return "the file " + has
}

// level is one map or list that is open where checkCost stands.
type level struct {
	column int // of its keys or dashes; of the keys on the last line in a flow map
	count  int // of entries, in a flow collection: of entries in this column
	path   int // bytes of the path of what it holds
	flow   bool
}

// checkCost refuses a file that would take the parser too long, before the
// parser sees it.
func (r *reader) checkCost(tokens token.Tokens) bool {
	var levels []level
	spent := r.spent
	path := func() int {
		if n := len(levels); n > 0 {
			return levels[n-1].path
		}
		return 1
	}
	enter := func(l level) {
		levels = append(levels, l)
	}
	// leave closes the block collections that a token in this column is behind.
	leave := func(column int) {
		for n := len(levels); n > 0 && !levels[n-1].flow && levels[n-1].column > column; n = len(levels) {
			levels = levels[:n-1]
		}
	}
	for i, t := range tokens {
		column := t.Position.Column
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			enter(level{flow: true, path: path() + 2})
		case token.SequenceEndType, token.MappingEndType:
			for n := len(levels); n > 0; n = len(levels) {
				flow := levels[n-1].flow
				levels = levels[:n-1]
				if flow {
					break
				}
			}
		case token.CollectEntryType:
			for n := len(levels); n > 0 && !levels[n-1].flow; n = len(levels) {
				levels = levels[:n-1]
			}
		case token.SequenceEntryType:
			leave(column)
			if n := len(levels); n == 0 || levels[n-1].flow || levels[n-1].column < column {
				enter(level{column: column, path: path() + 8})
			}
		case token.MappingValueType:
			if i == 0 {
				break // the parser refuses it
			}
			key := tokens[i-1]
			column = key.Position.Column
			if len(key.Value) > maxKey {
				r.problems.Errorf(r.at(key), "the key is %d bytes, more than %d", len(key.Value), maxKey)
				return false
			}
			leave(column)
			n := len(levels)
			if n == 0 || !levels[n-1].flow && levels[n-1].column < column {
				enter(level{column: column})
				n++
			}
			l := &levels[n-1]
			if l.column != column {
				l.column, l.count = column, 0
			}
			outer := 1
			if n > 1 {
				outer = levels[n-2].path
			}
			l.path = outer + len(key.Value) + 3
			l.count++
			spent.moves += l.count
		}
		// A value that is left out is put in as a null.
		if i > 0 {
			switch before := tokens[i-1]; {
			case before.Type == token.MappingValueType && before.Position.Line < t.Position.Line && column <= columnOfKey(tokens, i-1),
				before.Type == token.SequenceEntryType && column <= before.Position.Column,
				endsFlowEntry(t) && !endsFlowEntry(before) && (i < 2 || startsFlowEntry(tokens[i-2]) || before.Type == token.MappingValueType):
				spent.moves += len(tokens) - i
			}
		}
		spent.paths += path()
		switch {
		case len(levels) > maxDepth:
			r.problems.Errorf(r.at(t), "maps and lists are nested more than %d deep", maxDepth)
			return false
		case spent.moves > maxMoves, spent.paths > maxPaths:
			r.problems.Errorf(r.at(t), "%s too large to be read in reasonable time", spent.subject("is", "are")).Hint = "a map holds at most about 40000 keys"
			return false
		}
	}
	return true
}

// columnOfKey returns the column of the key whose colon is tokens[i].
func columnOfKey(tokens token.Tokens, i int) int {
	if i == 0 {
		return 0
	}
	return tokens[i-1].Position.Column
}

func startsFlowEntry(t *token.Token) bool {
	return t.Type == token.MappingStartType || t.Type == token.SequenceStartType || t.Type == token.CollectEntryType
}

func endsFlowEntry(t *token.Token) bool {
	return t.Type == token.MappingEndType || t.Type == token.CollectEntryType
}
