package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"golang.org/x/net/proxy"

	"github.com/canteen/deploy/controller/fault"
)

// access is how one fetch shows who it is, and the secret that no error may repeat.
type access struct {
	method transport.AuthMethod
	secret string
}

func (r *remote) access() (access, error) {
	if r.end.Protocol == "ssh" {
		method, err := newSSHKey(r.end, r.auth)
		if err != nil {
			return access{}, fault.New(fault.Blocked, CodeAuth, err)
		}
		return access{method: method}, nil
	}
	token, err := r.auth.token()
	if err != nil || token == "" {
		return access{}, err
	}
	// GitHub and GitLab take a token as the password of any user; x-access-token is the name that GitHub documents for
	// the tokens of its Apps.
	return access{method: &githttp.BasicAuth{Username: "x-access-token", Password: token}, secret: token}, nil
}

// boundScheme names, as if it were a proxy, the way on which each connection ends at a given time.
const boundScheme = "bound-by-time"

// bounding makes the way known once. go-git takes no context for ssh's handshake and gives no hand on its connection but this one: a
// server that accepts and then says nothing would keep a goroutine and a connection for good, for each look at git.
var bounding = sync.OnceFunc(func() {
	proxy.RegisterDialerType(boundScheme, func(u *url.URL, _ proxy.Dialer) (proxy.Dialer, error) {
		until, err := strconv.ParseInt(u.Host, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", boundScheme, err)
		}
		return bound{time.Unix(0, until)}, nil
	})
})

// bound is a dialer whose connections end at a given time.
type bound struct{ until time.Time }

// Dial implements proxy.Dialer.
func (b bound) Dial(network, address string) (net.Conn, error) {
	return b.DialContext(context.Background(), network, address)
}

// DialContext implements proxy.ContextDialer. It goes through a proxy that the environment names, as go-git does by itself.
func (b bound) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, b.until)
	defer cancel()
	conn, err := proxy.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(b.until); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// way is how an ssh server is reached within ctx's deadline. https has contexts throughout.
func (r *remote) way(ctx context.Context) transport.ProxyOptions {
	until, ok := ctx.Deadline()
	if !ok || r.end.Protocol != "ssh" {
		return transport.ProxyOptions{}
	}
	bounding()
	// A little later than ctx, so that its end is what the caller is told.
	return transport.ProxyOptions{URL: fmt.Sprintf("%s://%d", boundScheme, until.Add(time.Second).UnixNano())}
}

// sshKey is a key pair with a bound on the time that connecting takes.
type sshKey struct{ *gitssh.PublicKeys }

func (k sshKey) ClientConfig() (*ssh.ClientConfig, error) {
	config, err := k.PublicKeys.ClientConfig()
	if err == nil {
		config.Timeout = 30 * time.Second
	}
	return config, err
}

func newSSHKey(end *transport.Endpoint, auth Auth) (sshKey, error) {
	pem, err := os.ReadFile(auth.SSHKeyFile)
	if err != nil {
		return sshKey{}, fmt.Errorf("ssh key for git: %w", err)
	}
	user := end.User
	if user == "" {
		user = "git"
	}
	keys, err := gitssh.NewPublicKeys(user, pem, "")
	if err != nil {
		// The parser's text is about the key's bytes; the file's name is all that helps.
		return sshKey{}, fmt.Errorf("ssh key for git: %s is not a private key without a passphrase", auth.SSHKeyFile)
	}
	if _, err := os.Stat(auth.SSHKnownHosts); err != nil {
		return sshKey{}, fmt.Errorf("known_hosts for git: %w", err)
	}
	hosts, err := gitssh.NewKnownHostsDb(auth.SSHKnownHosts)
	if err != nil {
		return sshKey{}, fmt.Errorf("known_hosts for git: %w", err)
	}
	port := end.Port
	if port <= 0 {
		port = gitssh.DefaultPort
	}
	keys.HostKeyCallback = hosts.HostKeyCallback()
	// Without this a server that has several keys may offer one that is not in the file.
	keys.HostKeyAlgorithms = hosts.HostKeyAlgorithms(net.JoinHostPort(end.Host, strconv.Itoa(port)))
	return sshKey{keys}, nil
}

// classify gives the errors of go-git's transports a kind and a text that says what to do. It drops what a server wrote
// into them, which may be a page of HTML or an echo of the request.
func (r *remote) classify(err error, a access) error {
	var hostKey *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &hostKey), errors.As(err, &revoked):
		return fault.New(fault.Blocked, CodeHostKey, fmt.Errorf("%s shows a host key that is not in %s: compare it with the one its owner publishes, then add it there", r.end.Host, r.auth.SSHKnownHosts))
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed), isSSHRefusal(err):
		return fault.New(fault.Blocked, CodeAuth, fmt.Errorf("%s refuses the credentials: renew them, or allow them to read the repository", r.url))
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fault.New(fault.Blocked, CodeRepositoryNotFound, fmt.Errorf("no repository %s, or these credentials may not see it", r.url))
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return noBranch(r.branch, r.url, nil)
	}
	if a.secret != "" && strings.Contains(err.Error(), a.secret) {
		return fmt.Errorf("fetch from %s: %s", r.url, strings.ReplaceAll(err.Error(), a.secret, "[redacted]"))
	}
	return fmt.Errorf("fetch from %s: %w", r.url, err)
}

// isSSHRefusal knows a refused key by its text: x/crypto/ssh has no type for it.
func isSSHRefusal(err error) bool {
	return strings.Contains(err.Error(), "ssh: unable to authenticate")
}
