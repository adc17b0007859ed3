package upstream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/balance"
)

func TestServe(t *testing.T) {
	p, f := newPool(t, Config{}, "a", "b weight 2", "c backup")
	for range 6 {
		record, err := send(p)
		if err != nil {
			t.Fatal(err)
		}
		if record.Upstream != "shop" || record.Tries != 1 || record.Endpoint == "" {
			t.Errorf("record: %+v", record)
		}
	}
	if got, want := f.called(), "b a b b a b"; got != want {
		t.Errorf("called %q, want %q", got, want)
	}
}

func TestLeastRequests(t *testing.T) {
	p, f := newPool(t, Config{Balance: balance.LeastRequests}, "a", "b")
	var slow [3]edge.Exchange
	for i := range slow {
		p.Serve(&slow[i]) // one to a, two to b
	}
	for range 2 {
		send(p) // b has more
	}
	if got, want := f.called(), "a b b a a"; got != want {
		t.Errorf("called %q, want %q", got, want)
	}
	for i := range slow {
		slow[i].End()
	}
}

func TestRetire(t *testing.T) {
	p, _ := newPool(t, Config{}, "a", "b backup")
	p.Retire()
	for i := range p.endpoints {
		if !p.endpoints[i].transport.(*fake).retired {
			t.Errorf("endpoint %d is not retired", i)
		}
	}
	if _, err := send(p); err != nil {
		t.Errorf("a retired pool does not serve: %v", err)
	}
}

func TestStatus(t *testing.T) {
	p, f := newPool(t, Config{Balance: balance.LeastRequests}, "one:1", "two:22 weight 3", "three:333 backup")
	f.set(refused, "one:1")
	f.set(late, "two:22")
	send(p)
	send(p)
	st := p.Status()
	if st.Name != "shop" || st.Balance != balance.LeastRequests || p.Name() != "shop" {
		t.Errorf("%+v", st)
	}
	want := []EndpointStatus{
		{Endpoint{"tcp", "one:1", 1, false}, 0, 5, 1, map[edge.Kind]uint64{edge.ConnectionRefused: 1}, true},
		{Endpoint{"tcp", "two:22", 3, false}, 0, 6, 2, map[edge.Kind]uint64{edge.ResponseTimeout: 2}, false},
		{Endpoint{"tcp", "three:333", 1, true}, 0, 9, 0, nil, false},
	}
	for i, got := range st.Endpoints {
		if fmt.Sprint(got) != fmt.Sprint(want[i]) {
			t.Errorf("endpoint %d: %+v, want %+v", i, got, want[i])
		}
	}
}

// A request that names no host asks each endpoint for its own address.
func TestEndpointsAuthority(t *testing.T) {
	var asked []string
	p := New(Config{Name: "shop", Endpoints: []Endpoint{{Network: "tcp", Address: "10.0.0.1:80"}, {Network: "unix", Address: "/run/app.sock"}}}, func(e Endpoint) Transport {
		return &fake{fakes: &fakes{}, address: e.Address, serve: func(x *edge.Exchange) error {
			asked = append(asked, x.Request.Authority)
			return refused
		}}
	})
	var x edge.Exchange
	p.Serve(&x)
	x.Request.Authority = "shop.test"
	p.Serve(&x)
	x.End()
	if want := []string{"10.0.0.1:80", "localhost", "shop.test", "shop.test"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestValidate(t *testing.T) {
	check := func(want string, endpoints ...Endpoint) {
		t.Helper()
		err := (&Config{Name: "shop", Endpoints: endpoints}).Validate()
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q", endpoints, got, want)
		}
	}
	check("<nil>", Endpoint{Network: "tcp", Address: "a:1"}, Endpoint{Network: "unix", Address: "/a", Weight: balance.MaxWeight})
	check(`upstream "shop" has no endpoints`)
	check("neither tcp nor unix", Endpoint{Network: "udp", Address: "a:1"})
	check("weight -1 is not between", Endpoint{Network: "tcp", Weight: -1})
	check("weight 1000001 is not between", Endpoint{Network: "tcp", Weight: balance.MaxWeight + 1})
	check("comes twice", Endpoint{Network: "tcp", Address: "a:1"}, Endpoint{Network: "tcp", Address: "a:1", Weight: 2})
}
