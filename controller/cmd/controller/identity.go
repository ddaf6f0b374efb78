package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/canteen/deploy/controller/desired"
	"github.com/canteen/deploy/controller/server"
)

// askIdentity asks a controller which environment it looks after, and where. Its records are not read.
func askIdentity(ctx context.Context, base string) (server.Records, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	body, err := open(ctx, base+"/api/v1/records", "application/x-ndjson")
	if err != nil {
		return server.Records{}, err
	}
	defer body.Close()
	return decodeIdentity(base, json.NewDecoder(io.LimitReader(body, answerMax)))
}

// decodeIdentity reads the first line of a controller's records.
func decodeIdentity(base string, lines *json.Decoder) (server.Records, error) {
	var first server.Records
	if err := lines.Decode(&first); err != nil || first.Account == "" {
		return first, fmt.Errorf("%s does not say whose records it has; is it a controller that knows /api/v1/records?", base)
	}
	return first, nil
}

// wantIdentity refuses the controller of another environment than the folder's. A controller goes by its folder's name, which need not
// be the one in environment.yaml: that of production is most often called prod.
func wantIdentity(base string, is server.Records, folder string, want *desired.Environment) error {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("find %s: %w", folder, err)
	}
	named := slices.Contains([]string{filepath.Base(absolute), want.Metadata.Name}, is.Environment)
	if named && is.Account == want.Spec.Account && is.Region == want.Spec.Region {
		return nil
	}
	return errors.New(oneLine(fmt.Sprintf("the controller at %s is that of %s and works in account %s in %s, and %s/environment.yaml names %s, account %s in %s: ask the controller of that environment",
		base, is.Environment, is.Account, is.Region, folder, want.Metadata.Name, want.Spec.Account, want.Spec.Region)))
}
