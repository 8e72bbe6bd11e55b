// Debian's Chromium as the tests start it.
import { chromium } from 'playwright-core';

// As root there is no sandbox; the rest keeps Chromium itself from looking for its maker's servers.
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: FLAGS });
