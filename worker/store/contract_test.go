package store

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// breaking is what takes something away from a release that still uses it, or stops it while a big table is rewritten.
var breaking = regexp.MustCompile(`(?i)\bDROP\s+(TABLE|COLUMN)\b|\bRENAME\b|\bSET\s+NOT\s+NULL\b|\bALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE\b|\bTRUNCATE\b|\bADD\s+(COLUMN\s+)?\w+\s[^,;]*NOT\s+NULL\b(?:[^,;]*DEFAULT)?`)

// contracts is the comment of a migration that takes away, and the release since which nobody uses it.
var contracts = regexp.MustCompile(`(?m)^-- Contract: unused since (\d{5})`)

// Expand, migrate, contract: a migration only adds, unless it says since which version nobody has used what it takes away,
// and that is at least one whole version ago.
func TestMigrationsOnlyAdd(t *testing.T) {
	err := fs.WalkDir(migrations, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return err
		}
		if problem := judge(filepath.Base(name), string(text)); problem != "" {
			t.Errorf("%s: %s", name, problem)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func judge(name, text string) string {
	up, _, _ := strings.Cut(text, "-- +goose Down")
	found := ""
	for _, hit := range breaking.FindAllString(up, -1) {
		if !strings.Contains(strings.ToUpper(hit), "DEFAULT") {
			found = hit
		}
	}
	if found == "" {
		return ""
	}
	since := contracts.FindStringSubmatch(up)
	if since == nil {
		return fmt.Sprintf("%q breaks the release before; add first, and take away one release later with a line `-- Contract: unused since 0000N`", found)
	}
	if since[1] >= name[:len(since[1])] {
		return fmt.Sprintf("unused since %s is not a version before it", since[1])
	}
	return ""
}

func TestJudgeOfMigrations(t *testing.T) {
	for text, good := range map[string]bool{
		"CREATE TABLE a (b text NOT NULL);":                             true,
		"ALTER TABLE a ADD COLUMN b text;":                              true,
		"ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT 'x';":         true,
		"ALTER TABLE a ADD COLUMN b text NOT NULL;":                     false,
		"ALTER TABLE a ADD COLUMN b text, ADD COLUMN c text NOT NULL;":  false,
		"ALTER TABLE a DROP COLUMN b;":                                  false,
		"-- Contract: unused since 00006\nALTER TABLE a DROP COLUMN b;": true,
		"-- Contract: unused since 00007\nALTER TABLE a DROP COLUMN b;": false,
		"ALTER TABLE a RENAME COLUMN b TO c;":                           false,
		"ALTER TABLE a ALTER COLUMN b SET NOT NULL;":                    false,
		"ALTER TABLE a ALTER COLUMN b TYPE bigint;":                     false,
		"drop table a;": false,
		"CREATE INDEX i ON a (b);\n-- +goose Down\nDROP TABLE a;":                     true,
		"DROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON a (b);": true,
	} {
		if problem := judge("00007_x.sql", text); (problem == "") != good {
			t.Errorf("%s: %q", text, problem)
		}
	}
}
