# `make run` needs nothing but Python 3.11; everything else is set up on the way.
PYTHON ?= python3
do = @$(PYTHON) -m sandbox.environment

.PHONY: help run test coverage check pictures simulate processes protections mutants scan bench deploy diff rollback destroy lock clean

help:   ## what there is
	@sed -n 's/^\([a-z]*\): *## /make \1	/p' $(MAKEFILE_LIST)

run:    ## the product on this machine, with a GoTo to practise on
	$(do) run

test:   ## unit, integration and end-to-end tests
	$(do) test

coverage:  ## lines and branches that the quick suites reach, package by package
	$(do) coverage

check:  ## style, types, import directions, the packaged template
	$(do) check

pictures:  ## the pictures of docs/images, from the running product
	$(do) pictures

simulate:  ## a year of a fleet under each of GoTo's rotation rules
	$(do) simulate

processes:  ## real worker processes, killed at random for a minute
	$(do) processes

protections:  ## each security protection removed in turn: does a test of its row notice?
	$(do) protections

mutants:  ## small faults put into authorize.py, links.py and oauth.py: do the tests notice?
	$(do) mutants

scan:   ## a web scanner against the product on this machine
	$(do) scan

bench:  ## what things cost, as ratios to named floors
	$(do) bench $(BENCH)

deploy: ## STAGE into your AWS account: shows the change set, asks, tries the product
	$(do) deploy $(STAGE) $(ARGUMENTS)

diff:   ## what `make deploy STAGE=...` would change
	$(do) diff $(STAGE)

rollback:  ## the version before, back into STAGE
	$(do) rollback $(STAGE) $(ARGUMENTS)

destroy:  ## everything of STAGE but tables and keys, gone
	$(do) destroy $(STAGE)

lock:   ## resolve the requirements anew and write the locks
	$(do) lock

clean:  ## forget the local cloud and everything in it
	$(do) clean
