// A peer of the fleet: dubbo-go as a provider or a consumer of dubhe.fleet.Stock, told by words key=value. It
// tells what it sees in lines on standard output, and ends in an orderly way when its input does.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"dubbo.apache.org/dubbo-go/v3"
	"dubbo.apache.org/dubbo-go/v3/client"
	"dubbo.apache.org/dubbo-go/v3/graceful_shutdown"
	_ "dubbo.apache.org/dubbo-go/v3/imports"
	"dubbo.apache.org/dubbo-go/v3/logger"
	"dubbo.apache.org/dubbo-go/v3/protocol"
	"dubbo.apache.org/dubbo-go/v3/registry"
	"dubbo.apache.org/dubbo-go/v3/server"
)

const (
	service = "dubhe.fleet.Stock"
	timeout = 3 * time.Second
	// patience is how long an orderly end may take.
	patience = 10 * time.Second
)

// Stock is what every provider of the fleet offers; it answers with who it is.
type Stock struct{ me string }

// Who answers with the application of this provider.
func (stock *Stock) Who(_ context.Context, _ string) (string, error) { return stock.me, nil }

// lines is where we tell what we see; the log, which dubbo-go writes to standard output, goes elsewhere.
var lines, saying = os.Stdout, sync.Mutex{}

func say(format string, values ...any) {
	saying.Lock()
	defer saying.Unlock()
	fmt.Fprintf(lines, format+"\n", values...)
}

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("a peer is a provider or a consumer"))
	}
	os.Stdout = os.Stderr
	said := map[string]string{"metadata": "remote", "mode": "all"}
	for _, word := range os.Args[2:] {
		key, value, _ := strings.Cut(word, "=")
		said[key] = value
	}
	switch os.Args[1] {
	case "provider":
		provide(said)
	case "consumer":
		consume(said)
	default:
		fail(fmt.Errorf("a peer is a provider or a consumer, not %s", os.Args[1]))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "peer:", err)
	os.Exit(1)
}

// instance is the application, its registry, and what it serves if that is told.
func instance(said map[string]string, more ...dubbo.InstanceOption) *dubbo.Instance {
	kind, address, _ := strings.Cut(said["registry"], "://")
	listed := []registry.Option{registry.WithRegistry(kind), registry.WithAddress(address)}
	switch said["mode"] {
	case "interface":
		listed = append(listed, registry.WithRegisterInterface())
	case "all":
		listed = append(listed, registry.WithRegisterServiceAndInterface())
	default:
		listed = append(listed, registry.WithRegisterService())
	}
	options := []dubbo.InstanceOption{
		dubbo.WithName(said["application"]),
		dubbo.WithRegistry(listed...),
		// Nobody is to wait for calls that come late: consumers of the fleet are told at once.
		dubbo.WithShutdown(graceful_shutdown.WithoutInternalSignal(),
			graceful_shutdown.WithConsumerUpdateWaitTime(100*time.Millisecond),
			graceful_shutdown.WithStepTimeout(time.Second)),
		dubbo.WithLogger(logger.WithZap(), logger.WithLevel("info")),
	}
	if said["metadata"] == "remote" {
		options = append(options, dubbo.WithRemoteMetadata())
	}
	made, err := dubbo.NewInstance(append(options, more...)...)
	if err != nil {
		fail(err)
	}
	return made
}

func provide(said map[string]string) {
	port, err := strconv.Atoi(said["port"])
	if err != nil {
		fail(err)
	}
	metadata, _ := strconv.Atoi(said["metadata-port"])
	served := protocol.WithServerOptions(protocol.WithPort(port), protocol.WithIp("127.0.0.1"))
	made := instance(said, dubbo.WithProtocol(protocol.WithDubbo(), served), dubbo.WithMetadataServicePort(metadata))
	provider, err := made.NewServer()
	if err != nil {
		fail(err)
	}
	err = provider.Register(&Stock{said["application"]}, nil, server.WithInterface(service),
		server.WithSerialization("hessian2"))
	if err != nil {
		fail(err)
	}
	go func() {
		if err := provider.Serve(); err != nil {
			fail(err)
		}
	}()
	say("ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		// Nothing is asked of a provider.
	}
	end()
}

func consume(said map[string]string) {
	tellLists()
	made := instance(said)
	consumer, err := made.NewClient(client.WithClientProtocolDubbo(), client.WithClientSerialization("hessian2"),
		client.WithClientRequestTimeout(timeout), client.WithClientNoCheck(), client.WithClientRetries(0))
	if err != nil {
		fail(err)
	}
	stock, err := consumer.Dial(service)
	if err != nil {
		fail(err)
	}
	say("ready")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		words := strings.Fields(input.Text())
		switch {
		case len(words) == 2 && words[0] == "call":
			count, _ := strconv.Atoi(words[1])
			call(stock, count)
		case len(words) == 1 && words[0] == "invokers":
			tellInvokers()
		default:
			say("unknown %s", input.Text())
		}
	}
	end()
}

// end takes everything off the lists, as a program does that is told to end.
func end() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := graceful_shutdown.Shutdown(ctx); err != nil {
		fail(err)
	}
	os.Exit(0)
}

// call makes so many calls, one after the other, and tells who answered how many.
func call(stock *client.Connection, count int) {
	by, failed, why := map[string]int{}, 0, ""
	for range count {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		var who string
		if err := stock.CallUnary(ctx, []any{"go"}, &who, "who"); err != nil {
			failed, why = failed+1, strings.Join(strings.Fields(err.Error()), " ")
		} else {
			by[who]++
		}
		cancel()
	}
	var shares []string
	for who, times := range by {
		shares = append(shares, fmt.Sprintf("%s:%d", who, times))
	}
	sort.Strings(shares)
	say("called %d ok=%d failed=%d by=%s why=%s", count, count-failed, failed, strings.Join(shares, ","), why)
}
