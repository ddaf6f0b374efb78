package store

import (
	"os"
	"testing"

	"github.com/canteen/deploy/worker/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
