package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/canteen/deploy/controller/sim"
)

// The test binary is also the world around a worker that is measured: its clients, or its queue. In a task of ECS neither is in
// the worker's memory, so that they are a process of their own here.
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

// runClients places as many orders as each line says, and then answers.
func runClients(address string) error {
	wires := make(chan *wire, clients)
	for range clients {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		wires <- &wire{conn, bufio.NewReader(conn)}
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		if _, err := rate(n, clients, func(int) error {
			w := <-wires
			defer func() { wires <- w }()
			return w.place()
		}); err != nil {
			return err
		}
		fmt.Println("done")
	}
	return nil
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
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
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
