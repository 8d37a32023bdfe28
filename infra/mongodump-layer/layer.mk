# What `sam build` runs, from either architecture's Makefile. SAM copies that folder away, runs make in the copy, and
# says where to build in ARTIFACTS_DIR; this file stays where it is, and so are the paths below.

# The release of the MongoDB Database Tools. A new one takes new lines in mongodump.lock: delete the old.
TOOLS_VERSION := 100.18.0

HERE := $(abspath $(dir $(lastword $(MAKEFILE_LIST))))
REPOSITORY := $(abspath $(HERE)/../..)

LAYER_BUILDER ?= cargo run --quiet --locked --package holdfast-mongodump-layer --
LAYER_LOCK ?= $(HERE)/mongodump.lock
LAYER_DOWNLOADS ?= $(REPOSITORY)/.holdfast/mongodump
# From the repository's root: its toolchain is taken, and a relative MONGODUMP_BINARY means a file below it.
BUILD = cd '$(REPOSITORY)' && $(LAYER_BUILDER) --architecture $(ARCHITECTURE) --tools-version $(TOOLS_VERSION) \
	--lock '$(LAYER_LOCK)' --downloads '$(LAYER_DOWNLOADS)' --out

# Where `publish` builds, and what it names the layer.
LAYER_OUT ?= $(REPOSITORY)/target/mongodump-layer/$(ARCHITECTURE)
LAYER_NAME ?= holdfast-mongodump

.PHONY: build-MongodumpLayer publish

build-MongodumpLayer:
	@$(BUILD) '$(ARTIFACTS_DIR)'

# For functions that no template made: builds, publishes, and prints the ARN of the layer's new version, alone.
publish:
	@$(BUILD) '$(LAYER_OUT)' >&2
	@cd '$(LAYER_OUT)' && python3 -m zipfile -c '$(LAYER_OUT).zip' *
	@aws lambda publish-layer-version --layer-name $(LAYER_NAME) --zip-file 'fileb://$(LAYER_OUT).zip' \
		--compatible-architectures $(ARCHITECTURE) --compatible-runtimes provided.al2023 --license-info Apache-2.0 \
		--query LayerVersionArn --output text
