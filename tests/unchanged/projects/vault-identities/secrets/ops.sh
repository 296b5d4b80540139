#!/bin/sh
echo "ops password"
