package main

import (
	"context"
	"errors"
	"io"

	"github.com/ipld/go-car/v2"
)

// importCar adds the blocks of a CAR, as `ipfs dag import` does: each is checked against its CID, and afterwards the
// DAG of every root has to be complete.
func (content *content) importCar(ctx context.Context, file io.Reader) (roots []string, blocks int, err error) {
	reader, err := car.NewBlockReader(file)
	if err != nil {
		return nil, 0, invalid("this is no CAR: %v", err)
	}
	for {
		block, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, 0, invalid("block %d of the CAR is bad: %v", blocks, err)
		}
		if err := content.blocks.Put(ctx, block); err != nil {
			return nil, 0, err
		}
		blocks++
	}
	for _, root := range reader.Roots {
		if err := content.requireComplete(ctx, root); err != nil {
			return nil, 0, err
		}
		roots = append(roots, root.String())
	}
	return roots, blocks, nil
}
