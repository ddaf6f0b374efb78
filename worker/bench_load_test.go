package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/canteen/deploy/controller/sim"
)

// The test binary is also the world around a worker that is measured: its clients, or its queue. In a task of ECS neither is in
// the worker's memory or on its processor, so that they are a process of their own here, and while pgx alone is measured that process
// spends as much of the processor as it does for the worker.
const asWorld = "TEST_RUN_AS_WORLD" // "clients ADDRESS", "queue" or "queue.fifo"

// world is the process of clients or of a queue. It answers each line that it is given with one.
type world struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// ask gives the world a line and returns its answer; an empty line only waits for the first answer.
func (w *world) ask(line string) (string, error) {
	if line != "" {
		if _, err := fmt.Fprintln(w.in, line); err != nil {
			return "", err
		}
	}
	answer, err := w.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the process beside ended: %w", err)
	}
	if text, failed := strings.CutPrefix(answer, "error: "); failed {
		return "", fmt.Errorf("the process beside: %s", text)
	}
	return strings.TrimSpace(answer), nil
}

// must is ask for a benchmark, which ends where the process beside does.
func (w *world) must(b *testing.B, line string) {
	b.Helper()
	if _, err := w.ask(line); err != nil {
		b.Fatal(err)
	}
}

// spending is work while the process beside spends what n orders through the worker cost it. The heap is collected before, as it is
// for the worker: what is spent meanwhile would count against neither.
func (w *world) spending(b *testing.B, n int, work func() float64) float64 {
	b.Helper()
	runtime.GC()
	spent := make(chan error, 1)
	go func() {
		_, err := w.ask(fmt.Sprint("spend ", n))
		spent <- err
	}()
	r := work()
	if err := <-spent; err != nil {
		b.Fatal(err)
	}
	return r
}

// meter is what of the processor this process used for orders that the worker worked on.
type meter struct {
	began, used time.Duration
	orders      int
}

func (m *meter) begin() { m.began = processor() }

func (m *meter) end(n int) {
	m.used += processor() - m.began
	m.orders += n
}

// spend uses as much of the processor as n orders took, as fast as it can.
func (m *meter) spend(n int) {
	if m.orders == 0 {
		return
	}
	from, share := processor(), m.used*time.Duration(n)/time.Duration(m.orders)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for spun := 0; processor()-from < share; {
				for range 20_000 {
					spun++
				}
			}
		})
	}
	all.Wait()
}

// processor is the time that this process has had of it.
func processor() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // never, with these arguments
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// obey does what a line says: begin, "end N", "spend N", or else what other does.
func (m *meter) obey(line string, other func(what string, n int) error) error {
	what, count, _ := strings.Cut(line, " ")
	n, err := strconv.Atoi(cmp.Or(count, "0"))
	if err != nil {
		return err
	}
	switch what {
	case "begin":
		m.begin()
	case "end":
		m.end(n)
	case "spend":
		m.spend(n)
	default:
		return other(what, n)
	}
	return nil
}

// serveLines answers each line of the input, until it ends.
func serveLines(other func(what string, n int) error) error {
	m := &meter{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := m.obey(lines.Text(), other); err != nil {
			fmt.Println("error:", err)
			continue
		}
		fmt.Println("done")
	}
	return nil
}

// besides starts the world.
func besides(b *testing.B, as string) *world {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asWorld+"="+as)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close() // its end
		if err := cmd.Wait(); err != nil {
			b.Errorf("the process beside: %v", err)
		}
	})
	return &world{in, bufio.NewReader(out)}
}

// runAsWorld is the process beside, until its input ends.
func runAsWorld(as string) error {
	kind, address, _ := strings.Cut(as, " ")
	if kind == "clients" {
		return runClients(address)
	}
	return runQueue(kind == "queue.fifo")
}

// runClients places so many orders where a line says "place N".
func runClients(address string) error {
	wires := make(chan *wire, clients)
	for range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		wires <- &wire{conn, bufio.NewReader(conn)}
	}
	return serveLines(func(_ string, n int) error {
		_, err := rate(n, clients, func(int) error {
			w := <-wires
			defer func() { wires <- w }()
			return w.place()
		})
		return err
	})
}

// clients is how many connections there are at once.
const clients = 32

// wire is a client that costs next to nothing: it writes a request that was made before and reads the answer.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
}

func (w *wire) place() error {
	body := `{"school":"north","date":"2099-12-01","lines":[{"item":"soup","quantity":3}]}`
	var out bytes.Buffer
	fmt.Fprintf(&out, "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: bench-%s\r\nContent-Length: %d\r\n\r\n%s", rand.Text(), len(body), body)
	if _, err := w.conn.Write(out.Bytes()); err != nil {
		return err
	}
	status, err := w.in.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 201") {
		return fmt.Errorf("answer %q: %w", status, err)
	}
	length := 0
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if _, value, ok := bytes.Cut(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	_, err = w.in.Discard(length)
	return err
}

// runQueue is an account with a queue and its dead letters. It tells where they are, and ends with its input.
func runQueue(fifo bool) error {
	account, err := sim.New(sim.Config{Seed: 1, Unthrottled: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	listener, err := sim.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- account.Serve(ctx, listener) }()
	url, err := benchQueue(ctx, account, fifo)
	if err != nil {
		return err
	}
	fmt.Println("http://"+listener.Addr().String(), url)
	if err := serveLines(func(what string, _ int) error { return fmt.Errorf("a queue does not %s", what) }); err != nil {
		return err
	}
	cancel()
	if err := <-served; err != nil {
		return err
	}
	return account.Close()
}

func benchQueue(ctx context.Context, account *sim.Account, fifo bool) (url string, err error) {
	client := sqs.NewFromConfig(account.AWSConfig())
	suffix, attributes := "", map[string]string{}
	if fifo {
		suffix, attributes["FifoQueue"] = ".fifo", "true"
	}
	for _, name := range []string{"dead" + suffix, "orders" + suffix} {
		out, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			return "", err
		}
		url = aws.ToString(out.QueueUrl)
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:%s:%s","maxReceiveCount":5}`, sim.DefaultRegion, sim.DefaultAccount, name)
	}
	return url, nil
}
