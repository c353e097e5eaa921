/** Contacts from a CSV file, with everything that is wrong in it; into a campaign also all that there are. */
import { useState } from 'react'

import type { ResultOf } from '@/api/graphql'
import { graphql } from '@/api/graphql'
import { useAction } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Modal } from '@/parts/modal'
import { ErrorNote, Note } from '@/parts/notes'

const ENROL_ALL = graphql(`
  mutation EnrolAll($id: ID!) {
    enrolContacts(id: $id, input: { all: true }) {
      enrolled
      duplicates
      campaign {
        id
        callsTotal
      }
    }
  }
`)
const IMPORT = graphql(`
  mutation ImportInto($csv: String!, $dryRun: Boolean!, $mode: ImportMode!, $id: ID) {
    importContacts(csv: $csv, dryRun: $dryRun, mode: $mode, campaignId: $id) {
      rows
      imported
      existing
      duplicatesInFile
      invalid
      errorCount
      errors {
        row
        field
        message
      }
      enrolment {
        enrolled
        duplicates
      }
    }
  }
`)

type Outcome = ResultOf<typeof IMPORT>['importContacts']

/** A button and its dialog; `campaign` null adds to the workspace alone. */
export function AddContacts({ campaign, onDone }: { campaign: string | null; onDone: () => void }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button onClick={() => setOpen(true)}>{campaign ? 'Add contacts …' : 'Import …'}</Button>
      {open && <AddDialog campaign={campaign} onDone={onDone} onClose={() => setOpen(false)} />}
    </>
  )
}

function AddDialog({
  campaign,
  onDone,
  onClose,
}: {
  campaign: string | null
  onDone: () => void
  onClose: () => void
}) {
  const [file, setFile] = useState<{ name: string; csv: string }>()
  const [looked, setLooked] = useState<Outcome>()
  const [done, setDone] = useState('')
  const load = useAction(IMPORT)
  const all = useAction(ENROL_ALL)
  const error = load.error ?? all.error

  async function look(chosen: File | undefined) {
    if (!chosen) return
    setDone('')
    setLooked(undefined)
    all.clear()
    const csv = await chosen.text()
    setFile({ name: chosen.name, csv })
    const outcome = await load.run({ id: campaign, csv, dryRun: true, mode: 'VALID_ROWS' })
    if (outcome) setLooked(outcome.importContacts)
  }
  async function enrolFile() {
    if (!file) return
    const outcome = await load.run({ id: campaign, csv: file.csv, dryRun: false, mode: 'VALID_ROWS' })
    if (!outcome) return
    const { imported, enrolment } = outcome.importContacts
    setDone(`${(enrolment?.enrolled ?? imported).toLocaleString('en')} contacts are added.`)
    setLooked(undefined)
    onDone()
  }
  async function enrolAll(id: string) {
    load.clear()
    const outcome = await all.run({ id })
    if (!outcome) return
    setDone(`${outcome.enrolContacts.enrolled.toLocaleString('en')} contacts are added.`)
    onDone()
  }
  return (
    <Modal open onClose={onClose} title={campaign ? 'Add contacts' : 'Import contacts'}>
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 overflow-y-auto px-5 py-4">
        <label
          className="border-edge hover:bg-hover has-focus-visible:outline-accent grid justify-items-center gap-1 rounded-lg border-2 border-dashed px-4 py-6 text-center has-focus-visible:outline-2"
          onDragOver={(event) => event.preventDefault()}
          onDrop={(event) => {
            event.preventDefault()
            void look(event.dataTransfer.files[0])
          }}
        >
          <input
            type="file"
            accept=".csv,text/csv"
            className="sr-only"
            onChange={(event) => void look(event.target.files?.[0])}
          />
          <span className="font-medium">{file?.name ?? 'Drop a CSV file here, or choose one'}</span>
          <span className="text-faint">With a phoneNumber column; name, email, timezone and notes are understood.</span>
        </label>
        {load.busy && <p className="text-soft">Looking through it …</p>}
        {looked && <Looked at={looked} />}
        {error && <ErrorNote>{error}</ErrorNote>}
        {done && <Note>{done}</Note>}
      </div>
      <div className="border-line flex flex-wrap justify-end gap-2 border-t px-5 py-3">
        {campaign && (
          <Button busy={all.busy} onClick={() => void enrolAll(campaign)}>
            Add all contacts of the workspace
          </Button>
        )}
        <Button
          kind="primary"
          busy={load.busy}
          disabled={!looked || looked.rows === looked.invalid}
          onClick={() => void enrolFile()}
        >
          Add those of the file
        </Button>
      </div>
    </Modal>
  )
}

function Looked({ at }: { at: Outcome }) {
  return (
    <div className="grid gap-2">
      <p>
        {at.rows.toLocaleString('en')} rows: {at.imported.toLocaleString('en')} new contacts,{' '}
        {at.existing.toLocaleString('en')} known ones
        {at.duplicatesInFile > 0 && `, ${at.duplicatesInFile.toLocaleString('en')} twice`}
        {at.invalid > 0 && `, ${at.invalid.toLocaleString('en')} with errors, which are left out`}.
      </p>
      {at.errors.length > 0 && (
        <ul className="bg-sunken max-h-40 overflow-y-auto rounded-md p-2 text-[0.93em]">
          {at.errors.slice(0, 100).map((error) => (
            <li key={`${error.row} ${error.field} ${error.message}`}>
              Row {error.row}: {error.message}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
