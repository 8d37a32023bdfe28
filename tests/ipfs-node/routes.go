package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

type object map[string]any

func routes(node *Node) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/ipfs/", func(writer http.ResponseWriter, request *http.Request) {
		node.requests.gateway(request)
		node.content.Load().gateway.ServeHTTP(writer, request)
	})
	mux.HandleFunc("GET /gaia/{path...}", node.serveGaia)
	control(mux, "PUT /gaia/{path...}", func(request *http.Request) (object, error) {
		return object{}, node.gaia.put(request.PathValue("path"), request)
	})
	control(mux, "DELETE /gaia/{path...}", func(request *http.Request) (object, error) {
		node.gaia.remove(request.PathValue("path"))
		return object{}, nil
	})
	control(mux, "POST /node/add", node.add)
	control(mux, "POST /node/add-many", node.addMany)
	control(mux, "POST /node/add-directory", node.addDirectory)
	control(mux, "POST /node/add-block", node.addBlock)
	control(mux, "POST /node/import", func(request *http.Request) (object, error) {
		roots, blocks, err := node.content.Load().importCar(request.Context(), request.Body)
		return object{"roots": roots, "blocks": blocks}, err
	})
	control(mux, "GET /node/blocks/count", func(request *http.Request) (object, error) {
		count, err := node.content.Load().count(request.Context())
		return object{"count": count}, err
	})
	control(mux, "POST /node/remove-block", func(request *http.Request) (object, error) {
		return object{}, node.content.Load().remove(request.Context(), request.URL.Query().Get("cid"))
	})
	control(mux, "POST /node/reset", func(*http.Request) (object, error) {
		return object{}, node.reset()
	})
	control(mux, "GET /node/requests", func(*http.Request) (object, error) {
		counts := node.requests.all()
		return object{"gateway": counts.Gateway, "gaia": counts.Gaia}, nil
	})
	control(mux, "POST /node/requests/reset", func(*http.Request) (object, error) {
		node.requests.reset()
		return object{}, nil
	})
	return mux
}

func (node *Node) serveGaia(writer http.ResponseWriter, request *http.Request) {
	answer := &witnessed{writer, http.StatusOK}
	if file, found := node.gaia.file(request.PathValue("path")); found {
		file.serve(answer, request)
	} else {
		http.NotFound(answer, request)
	}
	node.requests.gaia(request.Method, answer.status)
}

func (node *Node) add(request *http.Request) (object, error) {
	shape, err := parseFileShape(&query{values: request.URL.Query()})
	if err != nil {
		return nil, err
	}
	id, err := node.content.Load().addFile(request.Context(), request.Body, shape)
	return object{"cid": id.String()}, err
}

func (node *Node) addMany(request *http.Request) (object, error) {
	shape, err := parseFileShape(&query{values: request.URL.Query()})
	if err != nil {
		return nil, err
	}
	var files [][]byte
	if err := json.NewDecoder(request.Body).Decode(&files); err != nil {
		return nil, invalid("the body is no JSON array of base64 files: %v", err)
	}
	cids, err := node.content.Load().addFiles(request.Context(), files, shape)
	return object{"cids": cids}, err
}

func (node *Node) addDirectory(request *http.Request) (object, error) {
	shape, err := parseDirectoryShape(&query{values: request.URL.Query()})
	if err != nil {
		return nil, err
	}
	var entries map[string]string
	if err := json.NewDecoder(request.Body).Decode(&entries); err != nil {
		return nil, invalid("the body is no JSON object of names and CIDs: %v", err)
	}
	id, err := node.content.Load().addDirectory(request.Context(), entries, shape)
	return object{"cid": id.String()}, err
}

func (node *Node) addBlock(request *http.Request) (object, error) {
	query := &query{values: request.URL.Query()}
	cids := query.cids(query.number("cid-version", 1, 0, 1), query.codec())
	if err := query.end(); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	id, err := node.content.Load().addBlock(request.Context(), data, cids)
	return object{"cid": id.String()}, err
}

// control routes a call whose outcome is told as JSON.
func control(mux *http.ServeMux, pattern string, call func(*http.Request) (object, error)) {
	mux.HandleFunc(pattern, func(writer http.ResponseWriter, request *http.Request) {
		answer, err := call(request)
		// A caller that is still sending would see a reset instead of the answer.
		io.Copy(io.Discard, request.Body)
		status := http.StatusOK
		if err != nil {
			status, answer = fault(err)
		}
		writer.Header().Set("Content-Type", "application/json")
		writer.WriteHeader(status)
		json.NewEncoder(writer).Encode(answer)
	})
}

func fault(err error) (int, object) {
	var lacking incomplete
	if errors.As(err, &lacking) {
		return http.StatusUnprocessableEntity, object{"error": err.Error(), "missing": lacking.missing.String()}
	}
	if errors.As(err, new(invalidRequest)) {
		return http.StatusBadRequest, object{"error": err.Error()}
	}
	return http.StatusInternalServerError, object{"error": err.Error()}
}
