package main

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"dubbo.apache.org/dubbo-go/v3/cluster/directory"
	"dubbo.apache.org/dubbo-go/v3/common"
	"dubbo.apache.org/dubbo-go/v3/common/constant"
	"dubbo.apache.org/dubbo-go/v3/common/extension"
	"dubbo.apache.org/dubbo-go/v3/protocol/invocation"
	"dubbo.apache.org/dubbo-go/v3/registry"
	stock "dubbo.apache.org/dubbo-go/v3/registry/directory"
	"dubbo.apache.org/dubbo-go/v3/remoting"
)

// one is a directory of this consumer.
type one struct {
	level string
	directory.Directory
}

var (
	made   []one
	making sync.Mutex
)

// maker is how dubbo-go makes a directory of a level.
type maker = func(*common.URL, registry.Registry) (directory.Directory, error)

// tellLists stands where the registry layer hands lists to a directory of the consumer, and tells of each. It has
// to be called before the first reference is made.
func tellLists() {
	interfaces := heard("interface", stock.NewRegistryDirectory)
	extension.SetDefaultRegistryDirectory(interfaces)
	extension.SetDirectory(constant.RegistryProtocol, interfaces)
	applications := heard("application", stock.NewServiceDiscoveryRegistryDirectory)
	extension.SetDirectory(constant.ServiceRegistryProtocol, applications)
}

func heard(level string, inner maker) maker {
	return func(url *common.URL, listed registry.Registry) (directory.Directory, error) {
		found, err := inner(url, &told{Registry: listed, level: level})
		if err == nil {
			making.Lock()
			made = append(made, one{level, found})
			making.Unlock()
		}
		return found, err
	}
}

// tellInvokers tells which addresses the directories would call now.
func tellInvokers() {
	making.Lock()
	defer making.Unlock()
	text := "invokers"
	for _, one := range made {
		var addresses []string
		for _, invoker := range one.List(invocation.NewRPCInvocation("who", []any{""}, nil)) {
			addresses = append(addresses, invoker.GetURL().Location)
		}
		sort.Strings(addresses)
		text += " " + one.level + "=" + strings.Join(addresses, ",")
	}
	say("%s", text)
}

// told is a registry whose listeners are heard by us too.
type told struct {
	registry.Registry
	level string
	heard sync.Map
}

func (one *told) Subscribe(url *common.URL, listener registry.NotifyListener) error {
	return one.Registry.Subscribe(url, one.of(listener))
}

func (one *told) UnSubscribe(url *common.URL, listener registry.NotifyListener) error {
	return one.Registry.UnSubscribe(url, one.of(listener))
}

func (one *told) LoadSubscribeInstances(url *common.URL, listener registry.NotifyListener) error {
	return one.Registry.LoadSubscribeInstances(url, one.of(listener))
}

// of is the same for the same listener, which is how a registry finds it again.
func (one *told) of(inner registry.NotifyListener) registry.NotifyListener {
	made, _ := one.heard.LoadOrStore(inner, &listening{inner: inner, level: one.level, listed: map[string]*common.URL{}})
	return made.(registry.NotifyListener)
}

// listening keeps the list that the events add up to, and hands them on.
type listening struct {
	inner  registry.NotifyListener
	level  string
	lock   sync.Mutex
	listed map[string]*common.URL
}

func (one *listening) Notify(event *registry.ServiceEvent) {
	one.lock.Lock()
	one.apply(event)
	one.tell()
	one.lock.Unlock()
	one.inner.Notify(event)
}

func (one *listening) NotifyAll(events []*registry.ServiceEvent, done func()) {
	one.lock.Lock()
	clear(one.listed)
	for _, event := range events {
		one.apply(event)
	}
	one.tell()
	one.lock.Unlock()
	one.inner.NotifyAll(events, done)
}

func (one *listening) apply(event *registry.ServiceEvent) {
	url := event.Service
	if url == nil || url.Protocol == "override" || url.Protocol == "route" || url.Protocol == "empty" {
		return
	}
	key := url.Protocol + "://" + url.Location
	if event.Action == remoting.EventTypeDel {
		delete(one.listed, key)
	} else {
		one.listed[key] = url
	}
}

func (one *listening) tell() {
	var urls []string
	for _, url := range one.listed {
		params := url.GetParams()
		urls = append(urls, fmt.Sprintf("%s://%s/%s?%s", url.Protocol, url.Location, strings.TrimPrefix(url.Path, "/"),
			params.Encode()))
	}
	sort.Strings(urls)
	say("notified %s %d %s", one.level, len(urls), strings.Join(urls, " "))
}
