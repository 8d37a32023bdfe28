package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"
)

// invalidRequest is a fault of the caller.
type invalidRequest struct{ message string }

func (fault invalidRequest) Error() string { return fault.message }

func invalid(format string, arguments ...any) error {
	return invalidRequest{fmt.Sprintf(format, arguments...)}
}

// query reads parameters, keeps the first fault, and refuses what nobody asked for.
type query struct {
	values url.Values
	fault  error
}

func (query *query) take(name string) (string, bool) {
	values, given := query.values[name]
	delete(query.values, name)
	return strings.Join(values, ","), given
}

func (query *query) refuse(name, value, takes string) {
	if query.fault == nil {
		query.fault = invalid("%s=%s: it takes %s", name, value, takes)
	}
}

func (query *query) number(name string, otherwise, least, most int64) int64 {
	text, given := query.take(name)
	if !given {
		return otherwise
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < least || value > most {
		query.refuse(name, text, fmt.Sprintf("a number from %d to %d", least, most))
	}
	return value
}

func (query *query) flag(name string, otherwise bool) bool {
	text, given := query.take(name)
	if given && text != "true" && text != "false" {
		query.refuse(name, text, "true or false")
	}
	return text == "true" || (!given && otherwise)
}

// choice returns one of the words; the first where none is given.
func (query *query) choice(name string, words ...string) string {
	text, given := query.take(name)
	if !given {
		return words[0]
	}
	if !slices.Contains(words, text) {
		query.refuse(name, text, strings.Join(words, " or "))
	}
	return text
}

// cids reads which hash names blocks.
func (query *query) cids(version int64, codec uint64) cid.Builder {
	name, given := query.take("hash")
	hash := uint64(multihash.SHA2_256)
	if given {
		known, ok := multihash.Names[name]
		if !ok || (version == 0 && known != multihash.SHA2_256) {
			query.refuse("hash", name, "the name of a multihash; version 0 knows sha2-256 alone")
		}
		hash = known
	}
	if version == 0 && codec != cid.DagProtobuf {
		query.refuse("cid-version", "0", "1 for this codec")
	}
	return cid.Prefix{Version: uint64(version), Codec: codec, MhType: hash, MhLength: -1}
}

func (query *query) codec() uint64 {
	name, given := query.take("codec")
	if !given {
		return cid.Raw
	}
	var code multicodec.Code
	if err := code.Set(name); err != nil {
		query.refuse("codec", name, "the name of a multicodec")
	}
	return uint64(code)
}

// end is the first fault, if there was one; what is left was not asked for.
func (query *query) end() error {
	for name := range query.values {
		query.refuse(name, query.values.Get(name), "nothing: there is no such parameter")
	}
	return query.fault
}
