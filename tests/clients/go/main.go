// Every call that the Go client has, against the address given. Prints the calls it left out.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/customerio/go-customerio/v3"
)

const odd = "a b/ü+@x.io"

type call struct {
	method string
	err    error
}

func main() {
	client := customerio.NewTrackClient("site", "key?>")
	client.URL = os.Args[1]
	called := map[string]bool{}
	for _, call := range calls(client) {
		if call.err != nil {
			log.Fatalf("%s: %v", call.method, call.err)
		}
		called[call.method] = true
	}
	leftOut := []string{}
	methods := reflect.TypeOf(client)
	for i := range methods.NumMethod() {
		// Each call is there a second time, with a context, and calls that one.
		name := strings.TrimSuffix(methods.Method(i).Name, "Ctx")
		if !called[name] {
			leftOut = append(leftOut, name)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{"left_out": leftOut}); err != nil {
		log.Fatal(err)
	}
}

func calls(c *customerio.CustomerIO) []call {
	type attributes = map[string]any
	ctx := context.Background()
	byEmail := customerio.Identifier{Type: customerio.IdentifierTypeEmail, Value: "u@x.io"}
	byID := customerio.Identifier{Type: customerio.IdentifierTypeID, Value: "other"}
	once := []customerio.TrackOption{
		customerio.WithEventID("01ARZ3NDEKTSV4RRFFQ69G5FAV"),
		customerio.WithEventTimestamp(time.Unix(1700000000, 0)),
	}
	page := customerio.WithEventType(customerio.TrackType("page"))
	emails := customerio.WithSegmentIDType(customerio.IdentifierTypeEmail)
	return []call{
		{"Identify", c.Identify("u", attributes{"email": "U@x.io", "plan": "a"})},
		{"Identify", c.Identify("other", attributes{"city": "x"})},
		{"Identify", c.Identify("bare", nil)},
		{"Identify", c.Identify(odd, attributes{"odd": true})},
		{"Delete", c.Delete(odd)},
		{"Track", c.Track("u", "bought", attributes{"price": 5}, once...)},
		{"Track", c.Track("u", "bought", attributes{"price": 5}, once...)},
		{"TrackAnonymous", c.TrackAnonymous("anon", "seen", nil)},
		{"Track", c.Track("u", "/pricing", nil, page)},
		{"AddDevice", c.AddDevice("u", "t/1", "ios", attributes{"last_used": 1700000000, "os": "x"})},
		{"AddDevice", c.AddDevice("u", "gone", "android", nil)},
		{"DeleteDevice", c.DeleteDevice("u", "gone")},
		{"MergeCustomers", c.MergeCustomers(byEmail, byID)},
		{"AddPeopleToSegment", c.AddPeopleToSegment(ctx, 7, []string{"u", "nobody"})},
		{"AddPeopleToSegment", c.AddPeopleToSegment(ctx, 8, []string{"U@x.io"}, emails)},
		{"RemovePeopleFromSegment", c.RemovePeopleFromSegment(ctx, 8, []string{"u"})},
	}
}
