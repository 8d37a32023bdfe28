package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	chunk "github.com/ipfs/boxo/chunker"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/boxo/ipld/unixfs"
	"github.com/ipfs/boxo/ipld/unixfs/hamt"
	"github.com/ipfs/boxo/ipld/unixfs/importer/balanced"
	"github.com/ipfs/boxo/ipld/unixfs/importer/helpers"
	"github.com/ipfs/boxo/ipld/unixfs/importer/trickle"
	blocks "github.com/ipfs/go-block-format"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-cidutil"
	ipld "github.com/ipfs/go-ipld-format"
)

// fileShape is how a file becomes blocks.
type fileShape struct {
	cids      cid.Builder
	rawLeaves bool
	chunk     int64
	maxLinks  int
	trickle   bool
	modified  time.Time
}

func parseFileShape(query *query) (fileShape, error) {
	version := query.number("cid-version", 0, 0, 1)
	shape := fileShape{
		cids:      query.cids(version, cid.DagProtobuf),
		rawLeaves: query.flag("raw-leaves", version == 1),
		chunk:     query.number("chunk", chunk.DefaultBlockSize, 1, int64(chunk.ChunkSizeLimit)),
		maxLinks:  int(query.number("max-links", int64(helpers.DefaultLinksPerBlock), 2, 8192)),
		trickle:   query.choice("layout", "balanced", "trickle") == "trickle",
	}
	if limit := query.number("inline", 0, 0, 128); limit > 0 {
		shape.cids = cidutil.InlineBuilder{Builder: shape.cids, Limit: int(limit)}
	}
	if seconds := query.number("mtime", 0, 0, 1<<40); seconds > 0 {
		shape.modified = time.Unix(seconds, 0)
	}
	return shape, query.end()
}

// addFile stores a file's blocks and returns its root.
func (content *content) addFile(ctx context.Context, file io.Reader, shape fileShape) (cid.Cid, error) {
	batch := ipld.NewBufferedDAG(ctx, content.dag)
	parameters := helpers.DagBuilderParams{
		Maxlinks:    shape.maxLinks,
		RawLeaves:   shape.rawLeaves,
		CidBuilder:  shape.cids,
		Dagserv:     batch,
		FileModTime: shape.modified,
	}
	builder, err := parameters.New(chunk.NewSizeSplitter(file, shape.chunk))
	if err != nil {
		return cid.Undef, err
	}
	layout := balanced.Layout
	if shape.trickle {
		layout = trickle.Layout
	}
	root, err := layout(builder)
	if err != nil {
		return cid.Undef, err
	}
	return root.Cid(), batch.Commit()
}

func (content *content) addFiles(ctx context.Context, files [][]byte, shape fileShape) ([]string, error) {
	cids := make([]string, 0, len(files))
	for _, file := range files {
		id, err := content.addFile(ctx, bytes.NewReader(file), shape)
		if err != nil {
			return nil, err
		}
		cids = append(cids, id.String())
	}
	return cids, nil
}

// directoryShape is how a directory becomes blocks.
type directoryShape struct {
	cids    cid.Builder
	sharded bool
	fanout  int
}

func parseDirectoryShape(query *query) (directoryShape, error) {
	shape := directoryShape{
		cids:    query.cids(query.number("cid-version", 0, 0, 1), cid.DagProtobuf),
		sharded: query.flag("sharded", false),
		fanout:  int(query.number("fanout", 256, 8, 1024)),
	}
	return shape, query.end()
}

// addDirectory stores a directory of what is here already and returns its root.
func (content *content) addDirectory(
	ctx context.Context, entries map[string]string, shape directoryShape,
) (cid.Cid, error) {
	children := make(map[string]ipld.Node, len(entries))
	for name, text := range entries {
		id, err := cid.Decode(text)
		if err != nil {
			return cid.Undef, invalid("the CID of %q is none: %v", name, err)
		}
		child, err := content.dag.Get(ctx, id)
		if err != nil {
			return cid.Undef, invalid("%q is not here: %v", name, err)
		}
		children[name] = child
	}
	build := content.plainDirectory
	if shape.sharded {
		build = content.shardedDirectory
	}
	root, err := build(ctx, children, shape)
	if err != nil {
		return cid.Undef, err
	}
	return root.Cid(), content.dag.Add(ctx, root)
}

func (content *content) plainDirectory(
	_ context.Context, children map[string]ipld.Node, shape directoryShape,
) (ipld.Node, error) {
	directory := unixfs.EmptyDirNode()
	if err := directory.SetCidBuilder(shape.cids); err != nil {
		return nil, err
	}
	for name, child := range children {
		if err := directory.AddNodeLink(name, child); err != nil {
			return nil, err
		}
	}
	return directory, nil
}

func (content *content) shardedDirectory(
	ctx context.Context, children map[string]ipld.Node, shape directoryShape,
) (ipld.Node, error) {
	shard, err := hamt.NewShard(content.dag, shape.fanout)
	if err != nil {
		return nil, invalid("fanout=%d: %v", shape.fanout, err)
	}
	shard.SetCidBuilder(shape.cids)
	for name, child := range children {
		if err := shard.Set(ctx, name, child); err != nil {
			return nil, err
		}
	}
	return shard.Node()
}

// addBlock stores a block as it is, whether or not it makes sense.
func (content *content) addBlock(ctx context.Context, data []byte, cids cid.Builder) (cid.Cid, error) {
	id, err := cids.Sum(data)
	if err != nil {
		return cid.Undef, err
	}
	block, err := blocks.NewBlockWithCid(data, id)
	if err != nil {
		return cid.Undef, err
	}
	return id, content.blocks.Put(ctx, block)
}

// incomplete says which block a DAG lacks.
type incomplete struct {
	root, missing cid.Cid
}

func (fault incomplete) Error() string {
	return "the DAG of " + fault.root.String() + " lacks the block " + fault.missing.String()
}

// requireComplete looks for every block of a DAG.
func (content *content) requireComplete(ctx context.Context, root cid.Cid) error {
	links := merkledag.GetLinksDirect(content.dag)
	err := merkledag.Walk(ctx, links, root, cid.NewSet().Visit)
	var missing ipld.ErrNotFound
	if errors.As(err, &missing) {
		return incomplete{root, missing.Cid}
	}
	return err
}
