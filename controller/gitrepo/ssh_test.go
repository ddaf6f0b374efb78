package gitrepo_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/gitrepo"
)

// newKey makes a key and the file that holds it.
func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return signer, path
}

func knownHosts(t *testing.T, addr string, key ssh.PublicKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(knownhosts.Line([]string{addr}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sshServer lets one key of the user git run git-upload-pack, as a git host does, and returns its address.
func sshServer(t *testing.T, host ssh.Signer, client ssh.PublicKey) string {
	t.Helper()
	git := needGit(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "git" || string(key.Marshal()) != string(client.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config, git)
		}
	}()
	return listener.Addr().String()
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, git string) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return // the client's side of the test sees it
	}
	go ssh.DiscardRequests(requests)
	for opened := range channels {
		channel, requests, err := opened.Accept()
		if err != nil {
			return
		}
		for req := range requests {
			var exec struct{ Command string }
			ok := req.Type == "exec" && ssh.Unmarshal(req.Payload, &exec) == nil
			_ = req.Reply(ok, nil)
			if ok {
				go run(channel, git, exec.Command)
			}
		}
	}
}

func run(channel ssh.Channel, git, command string) {
	defer channel.Close()
	path := strings.Trim(strings.TrimPrefix(command, "git-upload-pack "), "'")
	cmd := exec.Command(git, "upload-pack", path)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// A pipe of our own: Run would wait for the end of what the client sends, which waits for our end.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(stdin, channel) }()
	var status struct{ Code uint32 }
	if err := cmd.Run(); err != nil {
		status.Code = 128
	}
	_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(&status))
}

func TestFollowOverSSH(t *testing.T) {
	host, _ := newKey(t)
	client, key := newKey(t)
	b := newRepo(t, true)
	root := b.commit("one", services(3, "a"))
	addr := sshServer(t, host, client.PublicKey())
	auth := gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: knownHosts(t, addr, host.PublicKey())}
	follow(t, b, open(t, gitrepo.Config{Source: "ssh://git@" + addr + b.path, Folder: "desired/dev", Auth: auth}), root)
	// Without a user in the URL it is git.
	fetch(t, open(t, gitrepo.Config{Source: "ssh://" + addr + b.path, Folder: "desired/dev", Auth: auth}))
}

func TestSSHErrors(t *testing.T) {
	host, hostFile := newKey(t)
	client, key := newKey(t)
	stranger, strangerFile := newKey(t)
	b := newRepo(t, true)
	b.commit("one", services(3, "a"))
	addr := sshServer(t, host, client.PublicKey())
	hosts := knownHosts(t, addr, host.PublicKey())
	tests := []struct {
		name, code, text string
		path             string
		auth             gitrepo.Auth
	}{
		{"another host key", gitrepo.CodeHostKey, "shows a host key that is not in", b.path, gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: knownHosts(t, addr, stranger.PublicKey())}},
		{"unknown host", gitrepo.CodeHostKey, "shows a host key that is not in", b.path, gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: knownHosts(t, "example.com:22", host.PublicKey())}},
		{"refused key", gitrepo.CodeAuth, "refuses the credentials", b.path, gitrepo.Auth{SSHKeyFile: strangerFile, SSHKnownHosts: hosts}},
		{"no key file", gitrepo.CodeAuth, "no such file", b.path, gitrepo.Auth{SSHKeyFile: "/nowhere/key", SSHKnownHosts: hosts}},
		{"no known hosts", gitrepo.CodeAuth, "no such file", b.path, gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: "/nowhere/hosts"}},
		{"not a key", gitrepo.CodeAuth, "is not a private key", b.path, gitrepo.Auth{SSHKeyFile: hosts, SSHKnownHosts: hosts}},
		{"no repository", gitrepo.CodeRepositoryNotFound, "no repository", "/nowhere/r.git", gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: hosts}},
	}
	secret, err := os.ReadFile(hostFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := open(t, gitrepo.Config{Source: "ssh://git@" + addr + tt.path, Auth: tt.auth}).Fetch(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.text) || fault.CodeOf(err) != tt.code || !fault.Is(err, fault.Blocked) {
				t.Fatalf("%v (%s); want %q (%s)", err, fault.CodeOf(err), tt.text, tt.code)
			}
			if strings.Contains(err.Error(), string(secret)) || strings.Contains(err.Error(), "BEGIN") {
				t.Errorf("%q holds a key", err)
			}
		})
	}
}

// The ssh handshake takes no context; the caller's deadline holds all the same.
func TestAnSSHServerThatSaysNothingIsLeft(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	host, _ := newKey(t)
	_, key := newKey(t)
	addr := listener.Addr().String()
	r := open(t, gitrepo.Config{Source: "ssh://git@" + addr + "/r", Auth: gitrepo.Auth{SSHKeyFile: key, SSHKnownHosts: knownHosts(t, addr, host.PublicKey())}})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := r.Fetch(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("left after %s", took)
	}
}
