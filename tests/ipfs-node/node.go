package main

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/ipfs/boxo/blockservice"
	"github.com/ipfs/boxo/blockstore"
	"github.com/ipfs/boxo/exchange/offline"
	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/ipld/merkledag"
	"github.com/ipfs/go-cid"
	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/sync"
	ipld "github.com/ipfs/go-ipld-format"
	"github.com/prometheus/client_golang/prometheus"
)

// Node is everything that a reset forgets.
type Node struct {
	content  atomic.Pointer[content]
	gaia     gaia
	requests requests
}

// content is a blockstore with a gateway before it.
type content struct {
	blocks  blockstore.Blockstore
	dag     ipld.DAGService
	gateway http.Handler
}

func newNode() (*Node, error) {
	node := new(Node)
	return node, node.reset()
}

func (node *Node) reset() error {
	fresh, err := newContent()
	if err != nil {
		return err
	}
	node.content.Store(fresh)
	node.gaia.reset()
	node.requests.reset()
	return nil
}

func newContent() (*content, error) {
	blocks := blockstore.NewBlockstore(sync.MutexWrap(datastore.NewMapDatastore()))
	// A block that stands in its CID is nowhere else.
	blocks = blockstore.NewIdStore(blocks)
	service := blockservice.New(blocks, offline.Exchange(blocks))
	backend, err := gateway.NewBlocksBackend(service)
	if err != nil {
		return nil, err
	}
	handler := gateway.NewHandler(gateway.Config{
		DeserializedResponses: true,
		DisableHTMLErrors:     true,
		NoDNSLink:             true,
		// Its own, or a second gateway would collide with the first.
		MetricsRegistry: prometheus.NewRegistry(),
	}, backend)
	return &content{blocks: blocks, dag: merkledag.NewDAGService(service), gateway: handler}, nil
}

func (content *content) count(ctx context.Context) (int, error) {
	keys, err := content.blocks.AllKeysChan(ctx)
	if err != nil {
		return 0, err
	}
	count := 0
	for range keys {
		count++
	}
	return count, nil
}

func (content *content) remove(ctx context.Context, text string) error {
	id, err := cid.Decode(text)
	if err != nil {
		return invalid("cid=%s is no CID: %v", text, err)
	}
	return content.blocks.DeleteBlock(ctx, id)
}
