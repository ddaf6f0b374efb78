package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/canteen/deploy/controller/fault"
)

// Config says which folder of which branch of which repository to follow.
type Config struct {
	// Source is https://host/path, ssh://user@host/path, user@host:path, or a local path to a repository, bare or with a
	// work tree. http:// is accepted only for this machine. Secrets do not belong in it.
	Source string
	// Branch is the branch's short name. Default main.
	Branch string
	// Folder is the path of the folder in the repository, such as desired/dev; "." is the whole tree.
	Folder string
	Auth   Auth
	// CacheDir is a directory of the controller's own that takes what a remote source sends, while it is read; what is
	// found in it at Open is removed. Empty means memory, which is right for repositories of up to some tens of MiB.
	CacheDir string
}

// Auth names where the credentials are. Files and variables are read again at every fetch, because tokens are rotated.
type Auth struct {
	SSHKeyFile    string // private key without a passphrase
	SSHKnownHosts string // known_hosts file with the server's key; required for ssh
	TokenEnv      string // name of the environment variable with the token for https
	TokenFile     string // or the file with it
}

// The codes of the errors that carry a kind.
const (
	CodeConfig             = "git_config"               // Terminal: the configuration contradicts itself
	CodeFolderNotFound     = "git_folder_not_found"     // Terminal: the commit has no such folder
	CodeFolderTooLarge     = "git_folder_too_large"     // Terminal: the folder passes the bounds of this package
	CodeRepositoryTooLarge = "git_repository_too_large" // Terminal: what the branch holds passes the bounds of this package
	CodeBadTree            = "git_bad_tree"             // Terminal: the commit's tree has a name that no file can have
	CodeAuth               = "git_auth"                 // Blocked: the server refuses the credentials, or they are missing
	CodeHostKey            = "git_host_key"             // Blocked: the ssh server is not the one in known_hosts
	CodeRepositoryNotFound = "git_repository_not_found" // Blocked: no such repository, or not for these credentials
	CodeBranchNotFound     = "git_branch_not_found"     // Blocked: the repository has no such branch
)

func (c Config) withDefaults() Config {
	if c.Branch == "" {
		c.Branch = "main"
	}
	if c.Folder == "" {
		c.Folder = "."
	}
	c.Folder = strings.TrimSuffix(c.Folder, "/")
	return c
}

// check returns the parsed source, and what is wrong with the configuration without asking anybody.
func (c Config) check() (*transport.Endpoint, error) {
	if c.Source == "" {
		return nil, errors.New("no source: name the repository by URL or local path")
	}
	if !fs.ValidPath(c.Folder) {
		return nil, fmt.Errorf("folder %q: write a path inside the repository without leading slash or .., such as desired/dev", c.Folder)
	}
	if err := plumbing.NewBranchReferenceName(c.Branch).Validate(); err != nil {
		return nil, fmt.Errorf("branch %q: %w", c.Branch, err)
	}
	end, err := transport.NewEndpoint(c.Source)
	if err != nil {
		// The parser's own text repeats the source, which may hold a password.
		return nil, errors.New("source is not a URL and not a path: write https://host/path, ssh://user@host/path or a local path")
	}
	if end.Password != "" {
		return nil, errors.New("source holds a password: write the URL without it and name a file or variable that holds the token")
	}
	if c.Auth.TokenEnv != "" && c.Auth.TokenFile != "" {
		return nil, errors.New("two places for the token: name a variable or a file, not both")
	}
	return end, c.checkScheme(end)
}

func (c Config) checkScheme(end *transport.Endpoint) error {
	switch end.Protocol {
	case "https":
		if end.User != "" {
			return errors.New("source holds a user name, which may be a token: write the URL without it")
		}
	case "http":
		if ip := net.ParseIP(end.Host); end.Host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("source is http://%s, which anybody on the way can change: write https", end.Host)
		}
	case "ssh":
		if c.Auth.SSHKeyFile == "" || c.Auth.SSHKnownHosts == "" {
			return errors.New("an ssh source needs a key file and a known_hosts file with the server's key, as ssh-keyscan prints it")
		}
	case "file":
	default:
		return fmt.Errorf("source has the scheme %q: write https, ssh or a local path", end.Protocol)
	}
	return nil
}

// token reads the token, "" when none is configured.
func (a Auth) token() (string, error) {
	var raw, where string
	switch {
	case a.TokenEnv != "":
		raw, where = os.Getenv(a.TokenEnv), "variable "+a.TokenEnv
	case a.TokenFile != "":
		data, err := os.ReadFile(a.TokenFile)
		if err != nil {
			return "", fault.New(fault.Blocked, CodeAuth, fmt.Errorf("token for git: %w", err))
		}
		raw, where = string(data), "file "+a.TokenFile
	default:
		return "", nil
	}
	token := strings.TrimSpace(raw)
	if token == "" {
		return "", fault.New(fault.Blocked, CodeAuth, fmt.Errorf("token for git: the %s is empty", where))
	}
	return token, nil
}
