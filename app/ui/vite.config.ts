import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const SERVER = process.env.VOXFORGE_URL ?? 'http://127.0.0.1:8000'

/** Writes `.br` and `.gz` beside what compresses, so that the server only has to pick one. */
function precompress(): Plugin {
  let folder = ''
  return {
    name: 'precompress',
    apply: 'build',
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir)
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        if (!/\.(html|js|css|svg)$/.test(name)) continue
        const path = join(folder, name)
        const content = readFileSync(path)
        const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params: quality }))
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  plugins: [react(), tailwindcss(), precompress()],
  resolve: { alias: { '@': resolve(import.meta.dirname, 'src') } },
  build: {
    outDir: process.env.VOXFORGE_STATIC ?? '../static',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the Content-Security-Policy allows no `data:` scripts, and icons are in the scripts already
    modulePreload: { polyfill: false },
  },
  server: {
    // `npm run dev` beside a running server: cookies and origins stay those of one place
    proxy: Object.fromEntries(
      ['/session', '/graphql', '/api', '/recordings'].map((path) => [path, { target: SERVER, ws: true }]),
    ),
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'] },
})
