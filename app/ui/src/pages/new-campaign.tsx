/** Making a campaign; contacts come afterwards, on its own page. */
import { useState } from 'react'
import { useLocation } from 'wouter'

import { graphql } from '@/api/graphql'
import { useAction } from '@/api/hooks'
import { Button } from '@/parts/button'
import { Check, Group, Input, Select } from '@/parts/field'
import { ErrorNote, Note } from '@/parts/notes'
import { Card, Page } from '@/parts/page'
import { plain } from '@/words/states'

import { AgentOptions, NumberOptions } from './pickers'

const CREATE = graphql(`
  mutation CreateCampaign($input: CreateCampaignInput!) {
    createCampaign(input: $input) {
      id
    }
  }
`)

const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']

export function NewCampaign() {
  const [, navigate] = useLocation()
  const [name, setName] = useState('')
  const [agentId, setAgent] = useState('')
  const [phoneNumberId, setNumber] = useState('')
  const [start, setStart] = useState('')
  const [concurrent, setConcurrent] = useState('1')
  const [timezone, setTimezone] = useState(() => Intl.DateTimeFormat().resolvedOptions().timeZone)
  const [hours, setHours] = useState({ start: '', end: '' })
  const [days, setDays] = useState(DAYS)
  const [attempts, setAttempts] = useState(1)
  const [delay, setDelay] = useState('60')
  const create = useAction(CREATE)
  async function submit() {
    const input = {
      name,
      agentId,
      phoneNumberId,
      timezone,
      maxConcurrentCalls: Number(concurrent),
      ...(start && { scheduledStart: new Date(start).toISOString() }),
      ...(hours.start && hours.end && { callWindow: hours }),
      ...(days.length < DAYS.length && { callDays: days }),
      ...(attempts > 1 && { retryPolicy: { maxAttempts: attempts, delayMinutes: [Number(delay)] } }),
    }
    const made = await create.run({ input })
    if (made) navigate(`/campaigns/${made.createCampaign.id}`)
  }
  return (
    <Page title="Make a campaign" above={{ href: '/campaigns', label: 'Campaigns' }}>
      <form
        className="grid max-w-3xl gap-4"
        onSubmit={(event) => {
          event.preventDefault()
          void submit()
        }}
      >
        <Card>
          <div className="grid gap-4 sm:grid-cols-2">
            <div className="sm:col-span-2">
              <Input
                label="Name"
                required
                maxLength={200}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            </div>
            <Select label="Agent" required value={agentId} onChange={(event) => setAgent(event.target.value)}>
              <option value="">Choose …</option>
              <AgentOptions />
            </Select>
            <Select label="From" required value={phoneNumberId} onChange={(event) => setNumber(event.target.value)}>
              <option value="">Choose …</option>
              <NumberOptions />
            </Select>
            <Input
              label="Starts"
              type="datetime-local"
              value={start}
              onChange={(event) => setStart(event.target.value)}
              hint="By this browser’s clock. Without one: as soon as it has contacts."
            />
            <Input
              label="Calls at the same time"
              type="number"
              required
              min={1}
              max={1000}
              value={concurrent}
              onChange={(event) => setConcurrent(event.target.value)}
            />
          </div>
        </Card>
        <Card title="Hours">
          <div className="grid gap-4 sm:grid-cols-3">
            <Input
              label="From"
              type="time"
              required={Boolean(hours.end)}
              value={hours.start}
              onChange={(event) => setHours({ ...hours, start: event.target.value })}
            />
            <Input
              label="To"
              type="time"
              required={Boolean(hours.start)}
              value={hours.end}
              onChange={(event) => setHours({ ...hours, end: event.target.value })}
              hint="Empty: any hour."
            />
            <Input label="Time zone" required value={timezone} onChange={(event) => setTimezone(event.target.value)} />
            <div className="sm:col-span-3">
              <Group label="On">
                <div className="flex flex-wrap gap-x-4 gap-y-2">
                  {DAYS.map((day) => (
                    <Check
                      key={day}
                      label={plain(day)}
                      checked={days.includes(day)}
                      onChange={(event) =>
                        setDays(DAYS.filter((each) => (each === day ? event.target.checked : days.includes(each))))
                      }
                    />
                  ))}
                </div>
              </Group>
            </div>
          </div>
        </Card>
        <Card title="Who does not answer">
          <div className="grid gap-4 sm:grid-cols-2">
            <Select label="Is called" value={attempts} onChange={(event) => setAttempts(Number(event.target.value))}>
              {[1, 2, 3, 4, 5].map((times) => (
                <option key={times} value={times}>
                  {times === 1 ? 'Once' : `Up to ${times} times`}
                </option>
              ))}
            </Select>
            {attempts > 1 && (
              <Input
                label="Again after, in minutes"
                type="number"
                required
                min={1}
                value={delay}
                onChange={(event) => setDelay(event.target.value)}
              />
            )}
          </div>
        </Card>
        <Note>Contacts are added on the next page. It begins to dial with the first, unless it starts later.</Note>
        {create.error && <ErrorNote>{create.error}</ErrorNote>}
        <div>
          <Button type="submit" kind="primary" busy={create.busy} disabled={!days.length}>
            Make the campaign
          </Button>
        </div>
      </form>
    </Page>
  )
}
