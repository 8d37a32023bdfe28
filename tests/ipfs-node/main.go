// Command ipfs-node is the IPFS and the Gaia of the tests: a real gateway over blocks in memory, and a static origin.
// It listens on 127.0.0.1, prints its address as one line, and keeps nothing.
//
//	/ipfs/<cid>[/path]          boxo's gateway: plain files, ?format=car and ?format=raw; offline, so what is not here is 404
//	/gaia/<path>                PUT stores a file, DELETE removes it; GET and HEAD serve it with ETag and Last-Modified and
//	                            answer 304 to a validator that still holds
//
// The control API, in which every answer is JSON and every fault {"error": …}:
//
//	POST /node/add              body: a file; answers {"cid"}. How it is cut into blocks: ?cid-version=0|1 (0),
//	                            raw-leaves=true|false (true with version 1), chunk=bytes (262144), max-links=n (174),
//	                            layout=balanced|trickle, hash=sha2-256|… (a multihash's name), inline=bytes (blocks up to
//	                            so many stand in their CID; 0), mtime=seconds since 1970 (a root that says so)
//	POST /node/add-many         body: a JSON array of base64 files, ?… as above; answers {"cids"} in that order
//	POST /node/add-directory    body: {name: cid}; ?sharded=true|false (false), fanout=n (256; small ones make it deep),
//	                            cid-version, hash; answers {"cid"}
//	POST /node/add-block        body: a block, as it is; ?codec=raw|dag-pb|… (raw), cid-version (1), hash; answers {"cid"}
//	POST /node/import           body: a CAR; adds its blocks, each checked against its CID, and answers {"roots", "blocks"};
//	                            422 with {"error", "missing"} where the DAG of a root is not complete here afterwards
//	GET  /node/blocks/count     {"count"}: the blocks kept
//	POST /node/remove-block     ?cid=: this node has that block no more
//	POST /node/reset            a fresh node: no blocks, no files of the origin, all counts nought
//	GET  /node/requests         {"gateway": {"car", "raw", "plain"}, "gaia": {"full", "notModified", "head", "missing"}}
//	POST /node/requests/reset   all counts nought
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	port := flag.Uint("port", 0, "port on 127.0.0.1; 0 picks one that is free")
	stdin := flag.Bool("until-stdin-closes", false, "end when stdin does, and so with whoever started this")
	flag.Parse()
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(*port), 10)))
	if err != nil {
		log.Fatalf("cannot listen: %v", err)
	}
	node, err := newNode()
	if err != nil {
		log.Fatalf("cannot make the node: %v", err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	if *stdin {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		}()
	}
	log.Fatal(http.Serve(listener, routes(node)))
}
