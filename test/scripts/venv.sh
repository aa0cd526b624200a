#!/bin/bash
# needs: python3
python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'; rm -rf v
