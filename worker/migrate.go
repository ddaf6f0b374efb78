package main

import (
	"context"
	"fmt"

	"github.com/canteen/deploy/worker/secret"
	"github.com/canteen/deploy/worker/store"
	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func migrateCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use:       "migrate [up|status|version]",
		Short:     "Bring the database's schema up to date, or tell how far it is",
		Long:      "up (the default) applies what the database lacks; again and at the same time elsewhere does no harm.\nstatus lists the migrations, version tells the newest one applied; neither changes anything.",
		ValidArgs: []string{"up", "status", "version"},
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := env.logger()
			if err != nil {
				return err
			}
			getenv, err := withOwner(cmd.Context(), env.getenv)
			if err != nil {
				return err
			}
			source, role, err := store.ForMigration(getenv)
			if err != nil {
				return err
			}
			log = log.With(zap.Stringer("database", source))
			if len(args) == 0 || args[0] == "up" {
				return migrateUp(cmd.Context(), source, role, log)
			}
			return tellSchema(cmd.Context(), source, log, args[0] == "status")
		},
	}
}

// withOwner is the environment with the login of MIGRATE_DB_SECRET, where that is set: a secret that the task's own role reads, so
// that no serving task has it.
func withOwner(ctx context.Context, getenv func(string) string) (func(string) string, error) {
	id := getenv("MIGRATE_DB_SECRET")
	if id == "" {
		return getenv, nil
	}
	for _, other := range []string{"MIGRATE_DATABASE_URL", "MIGRATE_DB_USER", "MIGRATE_DB_PASSWORD"} {
		if getenv(other) != "" {
			return nil, fmt.Errorf("MIGRATE_DB_SECRET and %s are both set: set one of them", other)
		}
	}
	user, password, err := secret.Login(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("MIGRATE_DB_SECRET: %w", err)
	}
	return func(name string) string {
		switch name {
		case "MIGRATE_DB_USER":
			return user
		case "MIGRATE_DB_PASSWORD":
			return password
		}
		return getenv(name)
	}, nil
}

func migrateUp(ctx context.Context, source store.Source, role string, log *zap.Logger) error {
	log.Info("migrating", zap.String("version", version()))
	applied, err := source.Up(ctx)
	for _, m := range applied {
		log.Info("migration applied", zap.Int64("schema", m.Version), zap.String("file", m.Name), zap.Duration("took", m.Took))
	}
	if err != nil {
		return err
	}
	if err := source.Grant(ctx, role); err != nil {
		return err
	}
	needed, err := source.Needed()
	if err != nil {
		return fmt.Errorf("migrations of %s: %w", source, err)
	}
	log.Info("migrated", zap.Int("applied", len(applied)), zap.Int64("needed", needed))
	return nil
}

// tellSchema logs each migration, or only the version that the schema has reached.
func tellSchema(ctx context.Context, source store.Source, log *zap.Logger, each bool) error {
	all, err := source.Status(ctx)
	if err != nil {
		return err
	}
	reached, pending := int64(0), 0
	for _, m := range all {
		if m.Applied {
			reached = m.Version
		} else {
			pending++
		}
		if each {
			log.Info("migration", zap.Int64("schema", m.Version), zap.String("file", m.Name), zap.Bool("applied", m.Applied))
		}
	}
	log.Info("schema version", zap.Int64("schema", reached), zap.Int64("needed", all[len(all)-1].Version), zap.Int("pending", pending))
	return nil
}
