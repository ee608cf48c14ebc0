#!/usr/bin/env node
// The program `lateen`: hands the command line to the commands.
import { runCli } from './cli/cli.js';

process.exitCode = await runCli(process.argv);
