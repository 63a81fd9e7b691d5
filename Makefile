# `make run` needs nothing but Python 3.11 or newer; everything else is set up on the way.
PYTHON ?= python3
do = @$(PYTHON) sandbox/start.py

.PHONY: help setup run clean test coverage check docs newcomer machines pictures lock release simulate processes interleavings protections mutants scan bench deploy diff rollback prove adopt restore destroy

help:
	@awk -F ':.*## ' '/^##@/ {print "\n" substr($$0, 5)} /^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ First
setup:  ## everything that working on it needs, and git's hook
	$(do) setup

run:    ## the product on this machine, with a GoTo to practise on
	$(do) run

clean:  ## forget the local cloud and everything in it
	$(do) clean

##@ Before each change lands
check:  ## style, types, import directions, the packaged template, scanners
	$(do) check

test:   ## unit, integration, security, fault and end-to-end tests (ARGUMENTS: as pytest takes them)
	$(do) test $(ARGUMENTS)

coverage:  ## lines and branches that the quick suites reach (PACKAGES="reader cli": of these)
	$(do) coverage $(PACKAGES)

docs:   ## the pages as a site, every link of it checked
	$(do) docs

newcomer:  ## every command of the pages, typed into an empty checkout
	$(do) newcomer

machines:  ## make run and make test on minimal Debians (RELEASES: bookworm trixie), as root and as a user
	$(do) machines $(RELEASES)

##@ When something is made anew
pictures:  ## the pictures of docs/images, from the running product (NAMES="connected intake": these)
	$(do) pictures $(NAMES)

lock:   ## resolve the requirements anew and write the locks
	$(do) lock

release:  ## tag what is committed, build what is installed of it, list what is left to do
	$(do) release

##@ What shows that it holds
simulate:  ## a year of 200 customers, their calls, people and bad days (ten minutes)
	$(do) simulate

processes:  ## real worker processes, killed at random for a minute
	$(do) processes

interleavings:  ## every order of three actors' steps, with crashes, lost and late writes
	$(do) interleavings

protections:  ## each security protection removed in turn (ROWS="S07 S24": of these rows): does a test notice?
	$(do) protections $(ROWS)

mutants:  ## small faults in the modules that decide or hold tokens (MODULES="commit rescue": these): does a test notice?
	$(do) mutants $(MODULES)

scan:   ## a web scanner against the product on this machine (ARGUMENTS=--short: one page, seconds)
	$(do) scan $(ARGUMENTS)

bench:  ## what things cost, as ratios to named floors
	$(do) bench $(BENCH)

##@ In an AWS account (STAGE=...)
diff:   ## what `make deploy STAGE=...` would change
	$(do) diff $(STAGE)

deploy: ## STAGE into your AWS account: shows the change set, asks, tries the product
	$(do) deploy $(STAGE) $(ARGUMENTS)

rollback:  ## the version before, back into STAGE
	$(do) rollback $(STAGE) $(ARGUMENTS)

prove:  ## once on a real account: is AWS as these pages believe it to be?
	$(do) prove $(STAGE) $(ARGUMENTS)

adopt:  ## what a destroyed STAGE has left (tables, keys, queues), as a stack again
	$(do) adopt $(STAGE) $(ARGUMENTS)

restore:  ## rows of a restored table (FROM=...) into STAGE's own (TABLE=...)
	$(do) restore $(STAGE) $(TABLE) $(FROM) $(ARGUMENTS)

destroy:  ## STAGE's stack, gone; tables, keys, client secrets stay
	$(do) destroy $(STAGE)
