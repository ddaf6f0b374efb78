package release

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/desired"
)

// Promotion asks for what one environment runs in another. From and To are folders below desired/.
type Promotion struct {
	From, To string
	Services []string // all that both have, where none is named
	Reason   string   // why what was never verified is promoted all the same; it ends up in the commit
}

// Proof is what is known in the source of an image.
type Proof struct {
	Good   bool
	Since  time.Time // of the verdict
	Why    string    // where it is not good
	Digest string    // that was verified, where it is known
}

// Source opens the prover of the source, which is the environment that git describes there: nobody else's answers prove anything. It is
// called at most once, and only where something is to be proven.
type Source func(ctx context.Context, environment *desired.Environment) (Prover, error)

// Prover answers for the source's controller whether it saw this image through.
type Prover func(ctx context.Context, service, container string, image desired.Image) (Proof, error)

// Move is one image that goes to another environment.
type Move struct {
	Service, Container string
	Before, After      desired.Image
	Proof              Proof
	GoesBack           bool     // the target asks for a newer build
	Commits            []string // that come with it, newest first; at most commitsMax
	Env, Secrets       []string // names that the source has and the target does not
}

// commitsMax is how many commits are listed.
const commitsMax = 50

// Moves is what a promotion comes to, at a commit of the branch.
type Moves struct {
	Promotion
	Tip  string
	List []Move
	Left []string // containers of the source, as service (container), that the target does not have: nothing is asked for them
	// Refused are the services whose files are in the way, where none was named: they hold up nothing but themselves.
	Refused []Refusal

	target   *environment
	contents map[string][]byte // that the target's files get, by service
}

// Refusal is a file that is invalid, or that cannot be edited without changing something else.
type Refusal struct {
	Service string
	Err     error // each line has a place in a file
}

func (r Refusal) Error() string { return r.Err.Error() }

// Unwrap returns what is wrong with the file.
func (r Refusal) Unwrap() error { return r.Err }

// ErrUnproven is a promotion of something that was never verified in the source, without a reason.
var ErrUnproven = errors.New("was never verified good in the source")

// Write commits the moves, on a branch of the promotion's own that it returns, and pushes that. The branch is thrown away and made
// anew each time, so that it always is the tip and one commit; a person's commits on it end that with an error.
func (m *Moves) Write(ctx context.Context, repo Repo) (branch string, err error) {
	if len(m.List) == 0 {
		return "", errors.New("there is nothing to promote")
	}
	for _, move := range m.List {
		switch {
		case !move.Proof.Good && m.Reason == "":
			return "", fmt.Errorf("%s %s %w: %s", move.Service, move.After.Tag, ErrUnproven, move.Proof.Why)
		case move.After.Digest == "":
			return "", fmt.Errorf("no digest of %s %s is known; promote by digest alone: write it into desired/%s first", move.Service, move.After.Tag, m.From)
		}
	}
	edited := m.target.with(m.contents)
	files := make(map[string][]byte, len(m.contents))
	for _, move := range m.List {
		if _, err := edited.service(move.Service); err != nil {
			return "", err
		}
		files[edited.path(move.Service)] = m.contents[move.Service]
	}
	branch = "promote/" + m.From + "-to-" + m.To
	return branch, m.push(ctx, repo, branch, files)
}

func (m *Moves) push(ctx context.Context, repo Repo, branch string, files map[string][]byte) error {
	there, err := repo.RemoteBranch(ctx, branch)
	if err != nil {
		return err
	}
	if there != "" {
		if err := m.mine(ctx, repo, branch, there); err != nil {
			return err
		}
	}
	commit, err := repo.Commit(ctx, m.Tip, files, m.Title()+"\n\n"+m.Text()+trailer+"\n")
	if err != nil {
		return err
	}
	return repo.Push(ctx, commit, branch, &there)
}

// trailer marks what this program committed, which it may replace.
const trailer = "\nPromoted-By: controller promote"

func (m *Moves) mine(ctx context.Context, repo Repo, branch, tip string) error {
	ref := "refs/deploy/" + repo.Remote + "/" + branch
	if _, err := repo.git(ctx, nil, nil, "fetch", "--quiet", "--no-tags", repo.Remote, "+refs/heads/"+branch+":"+ref); err != nil {
		return fmt.Errorf("fetch %s: %w", branch, err)
	}
	text, err := repo.git(ctx, nil, nil, "log", "-1", "--format=%B", tip)
	if err != nil {
		return fmt.Errorf("read %s: %w", branch, err)
	}
	if !strings.Contains(text, strings.TrimSpace(trailer)) {
		return fmt.Errorf("branch %s has a commit that somebody else made; merge or delete it first", branch)
	}
	return nil
}

// Title is one line about the promotion.
func (m *Moves) Title() string {
	var parts []string
	for _, move := range m.List {
		parts = append(parts, move.Service+" "+move.After.Tag)
	}
	return "Promote " + strings.Join(parts, ", ") + " from " + m.From + " to " + m.To
}

// Text is what a person wants to know before merging it, in Markdown that is readable as it is.
func (m *Moves) Text() string {
	var b strings.Builder
	for _, move := range m.List {
		fmt.Fprintf(&b, "%s (%s): %s → %s\n", move.Service, move.Container, move.Before.Tag, move.After.Tag)
		if move.Proof.Good {
			fmt.Fprintf(&b, "- good in %s since %s\n", m.From, move.Proof.Since.UTC().Format("2006-01-02 15:04 UTC"))
		} else {
			fmt.Fprintf(&b, "- NOT verified in %s: %s\n", m.From, oneLine(move.Proof.Why))
		}
		if move.GoesBack {
			fmt.Fprintf(&b, "- goes back: %s is older than %s\n", move.After.Tag, move.Before.Tag)
		}
		for _, lacks := range []struct {
			what  string
			names []string
		}{{"env", move.Env}, {"secrets", move.Secrets}} {
			if len(lacks.names) > 0 {
				fmt.Fprintf(&b, "- %s lacks %s that %s has: %s\n", m.To, lacks.what, m.From, strings.Join(lacks.names, ", "))
			}
		}
		for _, c := range move.Commits {
			fmt.Fprintf(&b, "- %s\n", asCode(c))
		}
		if len(move.Commits) == commitsMax {
			fmt.Fprintf(&b, "- … and those before\n")
		}
	}
	for _, refused := range m.Refused {
		fmt.Fprintf(&b, "%s: not promoted\n", refused.Service)
		for line := range strings.Lines(refused.Error()) {
			fmt.Fprintf(&b, "- %s\n", asCode(line))
		}
	}
	for _, left := range m.Left {
		fmt.Fprintf(&b, "%s: %s has no such container; nothing is asked for it\n", left, m.To)
	}
	if m.Reason != "" {
		fmt.Fprintf(&b, "\nForced: %s\n", oneLine(m.Reason))
	}
	return b.String()
}

// asCode is a text in which nobody is mentioned, and nothing formatted.
func asCode(s string) string { return "`" + strings.ReplaceAll(oneLine(s), "`", "'") + "`" }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
