# What the pipeline runs is what a person runs: .ci/run and the workflows only call these.
GO ?= go
PKG ?= ./...

.PHONY: test test-race test-short-race test-stories-race test-stories test-kills soak fuzz demo check bench breaks build images synth test-infra

# What is slow without being concurrent, or measures memory, is run whole without the race detector; BOTH of it are run in short
# with it as well.
BOTH := controller/desired controller/gitrepo controller/reconcile controller/rollout controller/story
LONG := $(BOTH) controller/scale images

# Everything that must hold, as .ci/run runs it. A pipeline gives each part a machine of its own.
test: check test-race test-short-race test-stories-race test-stories test-kills test-infra

# Several packages wait for the clock, so that more of them run at once than there are processors. What go test would vet once more, check
# has vetted.
test-race:
	$(GO) test -vet=off -race -p 4 -timeout 20m $$($(GO) list $(PKG) | grep -v $(patsubst %,-e %$$,$(LONG)))

# What of BOTH is worth to be run with the race detector as well.
test-short-race:
	$(GO) test -vet=off -race -short -timeout 20m $(patsubst %,./%,$(BOTH)) -skip 'TestWander$$'

# Stories drawn by lot. STORY_SEEDS says how many: on a machine of their own a pull request tells 300 with the race detector and 2,000 without.
test-stories-race:
	STORY_SEEDS=$${STORY_SEEDS:-100} $(GO) test -vet=off -race -short -timeout 40m ./controller/story -run 'TestWander$$'
test-stories:
	STORY_SEEDS=$${STORY_SEEDS:-1000} $(GO) test -vet=off -timeout 40m ./controller/story -run 'TestWander$$'

# Every kill at every request, and whatever else is slow.
test-kills:
	$(GO) test -vet=off -timeout 40m $(patsubst %,./%,$(LONG))

# Every story under every doubt about AWS, and every kill, undisturbed by doubts and under all of them; then SEEDS stories drawn
# by lot. Takes many minutes, or as long as SEEDS says.
SEEDS ?= 2000
soak:
	$(GO) test -count=1 -timeout 120m ./controller/story -long
	$(GO) test -count=1 -timeout 0 ./controller/story -run 'TestWander$$' -seeds $(SEEDS) -v
	$(MAKE) fuzz FUZZTIME=10m

# Every fuzz target for FUZZTIME, one after the other. What they begin with (f.Add and testdata/fuzz) is part of make test. An input
# that fails is left in testdata/fuzz, to be committed with what mends it.
FUZZTIME ?= 10s
fuzz:
	@list=$$($(GO) test -list '^Fuzz' $(PKG)) || { echo "$$list"; exit 1; }; \
	echo "$$list" | awk '/^Fuzz/ { found[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, found[i]; n = 0 }' | \
	while read -r package target; do \
		echo "$$target of $$package for $(FUZZTIME)"; \
		$(GO) test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	done

# What a part of the tests is built of, for a cache that the next machine finds: built-test-stories.
built-%-race: ; $(GO) build -race $(PKG)
built-%:
	$(GO) vet $(PKG)
	cd infra && $(GO) vet ./...

# What costs seconds: form, suspicious code, the files of desired/, the module file, the workflows. actionlint is a module of its own,
# so that its dependencies are not the project's.
check:
	@out=$$(gofmt -l controller worker images pipeline infra observability); test -z "$$out" || { echo "gofmt would change: $$out"; exit 1; }
	$(GO) vet $(PKG)
	$(GO) mod verify >/dev/null
	$(GO) mod tidy -diff
	$(GO) run ./controller/cmd/controller validate desired
	$(GO) run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

# The infrastructure is a module of its own: the CDK is large, and nothing of the product needs it. Node 20 works, and is only told
# to be old.
test-infra: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 1
test-infra:
	cd infra && $(GO) vet ./... && $(GO) mod tidy -diff && $(GO) test -timeout 10m ./...

# The templates of every environment, below infra/cdk.out, and what cfn-lint says of them where it is installed. It asks no account.
synth: export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION = 1
synth:
	cd infra && $(GO) build -o ../bin/infra .
	cd infra && for env in $$(sed -n 's/^      "\([a-z0-9-]*\)": {$$/\1/p' cdk.json); do \
		echo "synthesize $$env"; CDK_OUTDIR=cdk.out/$$env CDK_CONTEXT_JSON="{\"env\":\"$$env\"}" ../bin/infra || exit 1; done
	@if command -v cfn-lint >/dev/null; then cfn-lint --ignore-checks W3010 -- infra/cdk.out/*/*.template.json; else echo "cfn-lint is not installed: only the CDK's own rules were applied"; fi

# The whole story on this machine: an account, a repository, the controller and the worker.
demo:
	$(GO) run ./controller/cmd/demo

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./controller/...
	$(GO) test -run '^$$' -bench . -benchtime 1x ./worker

# Breaks the controller one line at a time and tells which test caught it. Takes minutes.
breaks:
	$(GO) run ./controller/breaks

# Without gRPC's own tracing the program has half the size (docs/decisions/053-pages-in-go.md).
build:
	CGO_ENABLED=0 $(GO) build -trimpath -tags grpcnotrace -o bin/ ./controller/cmd/controller ./worker

# Both container images, or one as image-worker, with Docker or buildah (docs/images.md).
images:
	@images/build

image-%:
	@images/build $*
