package release

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/canteen/deploy/controller/desired"
)

// Plan says what would move, and writes nothing. Without a source nothing is proven. Where services are named, a file of theirs that is in
// the way is the error; else its service is refused, and the others move.
func Plan(ctx context.Context, repo Repo, kinds desired.Kinds, p Promotion, open Source) (*Moves, error) {
	tip, err := repo.Tip(ctx)
	if err != nil {
		return nil, err
	}
	source, errFrom := repo.environment(ctx, tip, kinds, p.From)
	target, errTo := repo.environment(ctx, tip, kinds, p.To)
	if err := errors.Join(errFrom, errTo); err != nil {
		return nil, err
	}
	m := &Moves{Promotion: p, Tip: tip, target: target, contents: map[string][]byte{}}
	all := p.Services
	if len(all) == 0 {
		all = slices.DeleteFunc(source.names(), func(name string) bool { return !target.has(name) })
	}
	planner := planner{repo: repo, source: source, target: target, open: open}
	for _, name := range all {
		one, err := planner.service(ctx, name)
		if refusal, ok := errors.AsType[Refusal](err); ok && len(p.Services) == 0 {
			m.Refused = append(m.Refused, refusal)
			continue
		}
		if err != nil {
			return nil, err
		}
		m.List, m.Left = append(m.List, one.moves...), append(m.Left, one.left...)
		if len(one.moves) > 0 {
			m.contents[name] = one.content
		}
	}
	return m, nil
}

// planner plans one service after the other.
type planner struct {
	repo           Repo
	source, target *environment
	open           Source
	prove          Prover // nil until something is to be proven
}

// planned is what a promotion comes to for one service.
type planned struct {
	moves   []Move
	left    []string
	content []byte // of the target's file, with every move whose digest is known
}

func (p *planner) service(ctx context.Context, name string) (planned, error) {
	from, errFrom := p.source.service(name)
	to, errTo := p.target.service(name)
	if err := errors.Join(errFrom, errTo); err != nil {
		return planned{}, Refusal{name, err}
	}
	out := planned{content: p.target.content(name)}
	for _, container := range containers(from) {
		there, ok := to.Spec.Containers[container]
		here := from.Spec.Containers[container]
		if !ok {
			out.left = append(out.left, name+" ("+container+")")
		}
		if !ok || there.Image == here.Image {
			continue
		}
		move, err := p.move(ctx, name, container, here, there)
		if err != nil {
			return planned{}, err
		}
		if already(move.Before, move.After) {
			continue
		}
		out.moves = append(out.moves, move)
		if move.After.Digest == "" {
			continue // it is not written
		}
		if out.content, err = desired.SetImage(out.content, container, move.After); err != nil {
			return planned{}, Refusal{name, located(p.target.path(name), err)}
		}
	}
	return out, nil
}

func (p *planner) move(ctx context.Context, service, container string, here, there desired.Container) (Move, error) {
	m := Move{Service: service, Container: container, Before: there.Image, After: here.Image,
		Env: missing(here.Env, there.Env), Secrets: missing(here.Secrets, there.Secrets)}
	var err error
	if p.prove == nil {
		if p.prove, err = p.source.prover(ctx, p.open); err != nil {
			return m, err
		}
	}
	if m.Proof, err = p.prove(ctx, service, container, here.Image); err != nil {
		return m, err
	}
	if m.After.Digest == "" {
		m.After.Digest = m.Proof.Digest // by tag alone, it might be another image in the target's registry
	}
	// What was built elsewhere has no history here; then there is none to show.
	if m.GoesBack, err = p.repo.Older(ctx, m.After.Tag, m.Before.Tag); err == nil {
		m.Commits, err = p.repo.Between(ctx, m.Before.Tag, m.After.Tag, commitsMax)
	}
	if err != nil {
		m.GoesBack, m.Commits = false, nil
	}
	return m, nil
}

func missing(here, there map[string]string) []string {
	names := slices.Sorted(maps.Keys(here))
	return slices.DeleteFunc(names, func(name string) bool { _, has := there[name]; return has })
}

func (r Repo) environment(ctx context.Context, commit string, kinds desired.Kinds, name string) (*environment, error) {
	folder := "desired/" + name
	files, err := r.Folder(ctx, commit, folder)
	if err != nil {
		return nil, err
	}
	return load(files, kinds, folder), nil
}

// prover opens the source as its files describe it.
func (e *environment) prover(ctx context.Context, open Source) (Prover, error) {
	if open == nil {
		return func(context.Context, string, string, desired.Image) (Proof, error) {
			return Proof{Why: "no controller was asked"}, nil
		}, nil
	}
	if e.snapshot.Environment == nil {
		return nil, e.invalid(desired.EnvironmentFile)
	}
	return open(ctx, e.snapshot.Environment)
}
