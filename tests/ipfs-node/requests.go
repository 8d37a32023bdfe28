package main

import (
	"net/http"
	"strings"
	"sync"
)

// requests counts what was asked for, by kind.
type requests struct {
	lock   sync.Mutex
	counts counts
}

type counts struct {
	Gateway struct {
		Car   int `json:"car"`
		Raw   int `json:"raw"`
		Plain int `json:"plain"`
	} `json:"gateway"`
	Gaia struct {
		Full        int `json:"full"`
		NotModified int `json:"notModified"`
		Head        int `json:"head"`
		Missing     int `json:"missing"`
	} `json:"gaia"`
}

func (requests *requests) reset() {
	requests.lock.Lock()
	defer requests.lock.Unlock()
	requests.counts = counts{}
}

func (requests *requests) all() counts {
	requests.lock.Lock()
	defer requests.lock.Unlock()
	return requests.counts
}

func (requests *requests) gateway(request *http.Request) {
	requests.lock.Lock()
	defer requests.lock.Unlock()
	count := &requests.counts.Gateway
	// The parameter goes before the header, as it does in the gateway.
	wanted := request.URL.Query().Get("format")
	if wanted == "" {
		wanted = request.Header.Get("Accept")
	}
	switch {
	case wanted == "car" || strings.Contains(wanted, "vnd.ipld.car"):
		count.Car++
	case wanted == "raw" || strings.Contains(wanted, "vnd.ipld.raw"):
		count.Raw++
	default:
		count.Plain++
	}
}

func (requests *requests) gaia(method string, status int) {
	requests.lock.Lock()
	defer requests.lock.Unlock()
	count := &requests.counts.Gaia
	switch {
	case status == http.StatusNotModified:
		count.NotModified++
	case status >= http.StatusBadRequest:
		count.Missing++
	case method == http.MethodHead:
		count.Head++
	default:
		count.Full++
	}
}

// witnessed remembers the status that was answered.
type witnessed struct {
	http.ResponseWriter
	status int
}

func (writer *witnessed) WriteHeader(status int) {
	writer.status = status
	writer.ResponseWriter.WriteHeader(status)
}
