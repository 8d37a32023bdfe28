package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// gaia is a static origin whose files have validators.
type gaia struct {
	lock  sync.RWMutex
	files map[string]gaiaFile
}

type gaiaFile struct {
	data     []byte
	kind     string
	modified time.Time
}

func (gaia *gaia) reset() {
	gaia.lock.Lock()
	defer gaia.lock.Unlock()
	gaia.files = make(map[string]gaiaFile)
}

func (gaia *gaia) put(path string, request *http.Request) error {
	data, err := io.ReadAll(request.Body)
	if err != nil {
		return err
	}
	gaia.lock.Lock()
	defer gaia.lock.Unlock()
	gaia.files[path] = gaiaFile{data, request.Header.Get("Content-Type"), time.Now()}
	return nil
}

func (gaia *gaia) remove(path string) {
	gaia.lock.Lock()
	defer gaia.lock.Unlock()
	delete(gaia.files, path)
}

func (gaia *gaia) file(path string) (gaiaFile, bool) {
	gaia.lock.RLock()
	defer gaia.lock.RUnlock()
	file, found := gaia.files[path]
	return file, found
}

// serve answers a GET or HEAD; conditional requests and ranges are the standard library's.
func (file gaiaFile) serve(writer http.ResponseWriter, request *http.Request) {
	kind := file.kind
	if kind == "" {
		kind = "application/octet-stream"
	}
	writer.Header().Set("Content-Type", kind)
	writer.Header().Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%.16x", sha256.Sum256(file.data))))
	http.ServeContent(writer, request, "", file.modified, bytes.NewReader(file.data))
}
